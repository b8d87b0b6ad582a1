// Package databaseurl reads a database URL so that no error shows its password.
package databaseurl

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// errSpecialCharacter is for a URL of which we cannot say where the password ends.
var errSpecialCharacter = errors.New("it is not of the form postgres://user:password@host:port/database: " +
	"in user and password, write @ as %40, / as %2F, % as %25")

// Parse reads a URL or key=value string with one of pgx's parsers. pgx hides a
// password in its error only where it finds one, so its text is shown only for
// what is surely a URL.
func Parse[Config any](text string, parse func(string) (Config, error)) (Config, error) {
	const doing = "parsing the database URL"
	var none Config
	_, rest, isURL := strings.Cut(text, "://")
	if isURL && !sound(rest) {
		return none, fmt.Errorf("%s: %w", doing, errSpecialCharacter)
	}
	config, err := parse(text)
	switch {
	case err == nil:
		return config, nil
	case isURL && strings.HasPrefix(text, "postgres"):
		// Behind the last quote stands what is wrong, before it the URL.
		reason := err.Error()[strings.LastIndex(err.Error(), "`: ")+1:]
		return none, fmt.Errorf("%s: %s", doing, strings.TrimPrefix(reason, ": "))
	default:
		return none, fmt.Errorf("%s: it is neither a URL (postgres://user@host/database) nor settings that PostgreSQL knows (host=… user=… dbname=…)", doing)
	}
}

// sound reports whether user, password, host, port and database can be told
// apart, in the way that libpq and pgx do. A password with a bare @ or / in it
// would else be shown as the host's or the database's name.
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
