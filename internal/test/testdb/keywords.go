package testdb

import (
	"errors"
	"strings"
)

type setting struct{ name, value string }

const (
	blanks         = " \t\n\r\v\f"
	keywordLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_."
)

var errKeywords = errors.New("parsing the database URL: it is neither a URL (postgres://user@host/database) nor settings (host=… user=… dbname=…)")

// parseKeywords reads the other form of an address that libpq has: pairs of name = value. A value with
// blanks is quoted, and a backslash escapes the next character.
func parseKeywords(text string) ([]setting, error) {
	var settings []setting
	for text = strings.TrimLeft(text, blanks); text != ""; text = strings.TrimLeft(text, blanks) {
		name, rest, found := strings.Cut(text, "=")
		name = strings.Trim(name, blanks)
		if !found || name == "" || strings.Trim(name, keywordLetters) != "" {
			return nil, errKeywords // for example a URL in quotes, whose password must not become a name
		}
		value, rest, ok := keywordValue(strings.TrimLeft(rest, blanks))
		if !ok {
			return nil, errKeywords
		}
		settings = append(settings, setting{name, value})
		text = rest
	}
	return settings, nil
}

// keywordValue reads one value. It fails if the quote does not end.
func keywordValue(text string) (value, rest string, ok bool) {
	ends := blanks
	quoted := strings.HasPrefix(text, "'")
	if quoted {
		text, ends = text[1:], "'"
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case strings.IndexByte(ends, text[i]) >= 0:
			return b.String(), text[i+1:], true
		case text[i] == '\\':
			if i++; i < len(text) {
				b.WriteByte(text[i])
			}
		default:
			b.WriteByte(text[i])
		}
	}
	return b.String(), "", !quoted
}
