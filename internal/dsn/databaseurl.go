// Package dsn checks a database URL before anything uses it. It refuses a text that is
// neither a URL nor a well-formed keyword string. pgx would fill the gaps from PGHOST and
// the other variables, and send the text to that server. No error shows a password or a
// value that may hold one.
package dsn

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Parse reads a URL or keyword string (host=… user=…) with one of pgx's parsers. An empty
// text stands for libpq's variables (PGHOST and so on).
//
// Parse checks the pool_… parameters with every parser, and drops them if the parser makes
// no pool. So all programs can share one URL.
func Parse[Config any](text string, parse func(string) (Config, error)) (Config, error) {
	const doing = "parsing the database URL"
	var none Config
	form, err := check(text)
	if err != nil {
		return none, fmt.Errorf("%s: %w", doing, err)
	}
	config, err := parse(text)
	if err != nil {
		return none, fmt.Errorf("%s: %w", doing, explained(form, err))
	}
	if single, ok := any(config).(*pgx.ConnConfig); ok {
		if _, err := pgxpool.ParseConfig(text); err != nil {
			return none, fmt.Errorf("%s: %w", doing, explained(form, err))
		}
		for _, name := range poolParameters() {
			delete(single.RuntimeParams, name)
		}
	}
	return config, nil
}

// form is how a text is written.
type form int

const (
	formEmpty form = iota
	formURL
	formKeywords
)

// setting is one parameter of a text.
type setting struct{ name, value string }

// check refuses a text that is surely a mistake, or that can be read in two ways.
func check(text string) (form, error) {
	if text == "" {
		return formEmpty, nil
	}
	if rest, ok := withoutScheme(text); ok {
		return formURL, checkURL(rest)
	}
	settings, ok := keywords(text)
	if !ok || !anyKnown(settings) {
		return formKeywords, errors.New(neither + ": " + misread(text))
	}
	if err := checkSettings(settings); err != nil {
		return formKeywords, err
	}
	return formKeywords, checkPlaces(settings)
}

func withoutScheme(text string) (rest string, ok bool) {
	for _, scheme := range []string{"postgres://", "postgresql://"} {
		if rest, ok := strings.CutPrefix(text, scheme); ok {
			return rest, true
		}
	}
	return "", false
}

const neither = "it is neither a URL (postgres://user@host/database) nor settings that PostgreSQL knows (host=… user=… dbname=…)"

// misread says what is wrong with a text that is neither.
func misread(text string) string {
	lower := strings.ToLower(text)
	inside := strings.Contains(lower, "postgres://") || strings.Contains(lower, "postgresql://")
	switch {
	case strings.HasPrefix(text, "\uFEFF"):
		return "it begins with a byte order mark: remove it"
	case strings.TrimFunc(text, blank) == "":
		return "it is blank"
	case strings.HasPrefix(lower, "postgres://"), strings.HasPrefix(lower, "postgresql://"):
		return "write postgres:// in lower case"
	case strings.ContainsAny(text[:1], "\"'`") || strings.HasPrefix(text, "“") || strings.HasPrefix(text, "‘"):
		return "it begins with a quote, which some env files keep: remove the quotes"
	case inside && strings.TrimLeftFunc(text, blank) != text:
		return "it has blanks or line breaks before it: remove them"
	case inside:
		return "something comes before postgres://, such as a variable's name: remove it"
	case regexp.MustCompile(`^[a-z0-9+.:-]+://`).MatchString(lower):
		return "its scheme is not postgres or postgresql: write postgres://"
	case regexp.MustCompile(`^postgres(ql)?:`).MatchString(lower):
		return "two slashes are missing after postgres:"
	default:
		return "write one of the two; in settings, put a value with blanks in single quotes"
	}
}

// explained says why pgx refuses a text, in our own words. pgx quotes parts of the text.
func explained(f form, err error) error {
	reason := reasonOf(err)
	if f == formKeywords {
		return errors.New(neither + ": " + reason)
	}
	return errors.New(reason)
}

func reasonOf(err error) string {
	if file, ok := errors.AsType[*fs.PathError](err); ok {
		path := "a file that it names"
		if regexp.MustCompile(`^[\w./\\: ~-]{1,200}$`).MatchString(file.Path) {
			path = file.Path
		}
		return fmt.Sprintf("reading %s: %v: check sslrootcert, sslcert and sslkey", path, file.Err)
	}
	text := err.Error()
	text = text[strings.LastIndex(text, "`: ")+1:] // the URL comes before it
	for _, known := range []struct{ part, said string }{
		{"sslmode is invalid", "sslmode is invalid: use one of disable, allow, prefer, require, verify-ca, verify-full"},
		{"invalid port", "a port is not a number from 1 to 65535 (the URL's, or PGPORT)"},
		{"port numbers to", "give one port, or one for each host"},
		{"failed to parse as URL", errSpecialCharacter.Error()},
		{"failed to parse as keyword/value", "a quote is not closed, or a = is missing"},
		{"failed to read service", "the service cannot be read: check service and servicefile"},
	} {
		if strings.Contains(text, known.part) {
			return known.said
		}
	}
	first, at := "", len(text)
	for _, name := range append(poolParameters(), connectionParameters()...) {
		if i := strings.Index(text, name); i >= 0 && i < at { // a later match may be its value
			first, at = name, i
		}
	}
	if first != "" {
		return first + " is not valid"
	}
	return "pgx does not accept it: check each parameter"
}
