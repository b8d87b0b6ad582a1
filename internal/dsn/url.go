package dsn

import (
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// errSpecialCharacter is for a URL whose password has no clear end.
var errSpecialCharacter = errors.New("it is not of the form postgres://user:password@host:port/database: " +
	"in user and password, write @ as %40, / as %2F, % as %25")

// checkURL checks what follows the scheme.
func checkURL(rest string) error {
	switch {
	case strings.TrimFunc(rest, blank) != rest:
		return errors.New("it has blanks, line breaks or invisible characters around it: remove them")
	case strings.ContainsFunc(rest, blank):
		return errors.New("it holds a blank or a control character: write a blank as %20")
	case strings.HasSuffix(rest, `"`), strings.HasSuffix(rest, "'"), strings.HasSuffix(rest, "`"), strings.HasSuffix(rest, "”"), strings.HasSuffix(rest, "’"):
		return errors.New("it ends with a quote, which some env files keep: remove it")
	case !sound(rest):
		return errSpecialCharacter
	}
	places, query, ok := urlSettings(rest)
	if !ok {
		return errSpecialCharacter
	}
	if err := checkSettings(query); err != nil {
		return err
	}
	settings := append(places, query...)
	if err := checkPlaces(settings); err != nil {
		return err
	}
	return checkHostIsNamed(settings)
}

// sound reports whether user, password, host, port and database can be separated as
// libpq and pgx do it. Otherwise a password with a bare @ or / in it would be shown as
// the name of the host or the database.
func sound(rest string) bool {
	if _, err := url.PathUnescape(rest); err != nil {
		return false
	}
	if i := strings.IndexAny(rest, "@/"); i >= 0 && rest[i] == '@' {
		rest = rest[i+1:]
	}
	rest, _, _ = strings.Cut(rest, "?")
	if strings.Contains(rest, "@") {
		return false
	}
	hosts, _, _ := strings.Cut(rest, "/")
	for host := range strings.SplitSeq(hosts, ",") {
		host = host[strings.LastIndexByte(host, ']')+1:] // an IPv6 address has colons of its own
		if _, port, ok := strings.Cut(host, ":"); ok && strings.Trim(port, "0123456789") != "" {
			return false
		}
	}
	return true
}

// urlSettings returns a sound URL's parameters: those with a place of their own, and those
// after the question mark, which have precedence in pgx.
func urlSettings(rest string) (places, query []setting, ok bool) {
	ok = true
	add := func(to *[]setting, name, value string) {
		name, nameErr := url.PathUnescape(name)
		value, valueErr := url.PathUnescape(value)
		*to = append(*to, setting{name, value})
		ok = ok && nameErr == nil && valueErr == nil
	}
	if i := strings.IndexAny(rest, "@/"); i >= 0 && rest[i] == '@' {
		user, password, hasPassword := strings.Cut(rest[:i], ":")
		add(&places, "user", user)
		if hasPassword {
			add(&places, "password", password)
		}
		rest = rest[i+1:]
	}
	rest, pairs, _ := strings.Cut(rest, "?")
	hosts, database, _ := strings.Cut(rest, "/")
	var names, ports []string
	for host := range strings.SplitSeq(hosts, ",") {
		end := strings.LastIndexByte(host, ']') + 1
		name, port, _ := strings.Cut(host[end:], ":")
		names = append(names, strings.Trim(host[:end], "[]")+name)
		ports = append(ports, port)
	}
	add(&places, "host", strings.Join(names, ","))
	add(&places, "port", strings.Join(ports, ","))
	add(&places, "dbname", database)
	for pair := range strings.SplitSeq(pairs, "&") {
		if name, value, isPair := strings.Cut(pair, "="); isPair {
			add(&query, name, value)
		}
	}
	return places, query, ok // pgx refuses what is not a pair
}

// checkPlaces refuses a value in the place of another part. It would be looked up, sent or
// shown as something that it is not.
func checkPlaces(settings []setting) error {
	values := valuesOf(settings)
	for host := range strings.SplitSeq(values["host"], ",") {
		if err := checkHost(host); err != nil {
			return err
		}
	}
	for _, name := range []string{"user", "dbname"} {
		value := values[name]
		if strings.Contains(value, "://") || strings.ContainsFunc(value, unicode.IsControl) {
			return errors.New(name + " holds what looks like a URL, or a control character: check it")
		}
	}
	if strings.Contains(values["user"], ":") && values["password"] == "" {
		return errors.New("user holds a colon and there is no password: between user and password, write the colon as it is")
	}
	return nil
}

func checkHost(host string) error {
	if host == "" || strings.HasPrefix(host, "/") && !strings.ContainsFunc(host, unicode.IsControl) && !strings.Contains(host, "://") {
		return nil
	}
	if _, err := netip.ParseAddr(host); err == nil || regexp.MustCompile(`^[A-Z]:\\`).MatchString(host) {
		return nil
	}
	if regexp.MustCompile(`^[\pL\pN._-]+:\d+$`).MatchString(host) {
		return errors.New("host holds a port: give it as port=…")
	}
	if !regexp.MustCompile(`^[\pL\pN._-]+$`).MatchString(host) {
		return errors.New("host is neither a name, an address nor a directory: check it; " + errSpecialCharacter.Error())
	}
	return nil
}

// checkHostIsNamed refuses a URL that has a password or a port and no host. A template
// with an unset variable makes such a URL, and the password would go to PGHOST or to the
// local server.
func checkHostIsNamed(settings []setting) error {
	values := valuesOf(settings)
	if values["service"] != "" {
		return nil
	}
	lacksHost := values["host"] == ""
	for host := range strings.SplitSeq(values["host"], ",") {
		lacksHost = lacksHost || host == ""
	}
	if lacksHost && (values["password"] != "" || strings.Trim(values["port"], ",") != "" || values["host"] != "") {
		return errors.New("a host is missing: write postgres://user:password@host/database, or add host=… after the ?")
	}
	return nil
}

func valuesOf(settings []setting) map[string]string {
	values := make(map[string]string, len(settings))
	for _, one := range settings {
		name := one.name
		if name == "database" {
			name = "dbname"
		}
		values[name] = one.value // the last one counts, as in pgx
	}
	return values
}

// blank reports a character that is never part of a URL.
func blank(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}
