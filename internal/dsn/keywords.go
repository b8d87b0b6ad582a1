package dsn

import (
	"regexp"
	"strings"
)

const keywordSpace = " \t\n\r\v\f"

// keywords reads a keyword string as libpq and pgx do. ok is false if it is not one.
func keywords(text string) (settings []setting, ok bool) {
	if strings.ContainsRune(text, 0) {
		return nil, false
	}
	for text = strings.TrimLeft(text, keywordSpace); text != ""; text = strings.TrimLeft(text, keywordSpace) {
		name, rest, hasValue := strings.Cut(text, "=")
		name = strings.TrimRight(name, keywordSpace)
		if !hasValue || !regexp.MustCompile(`^[A-Za-z_][\w.$-]*$`).MatchString(name) {
			return nil, false
		}
		value, after, closed := keywordValue(strings.TrimLeft(rest, keywordSpace))
		if !closed {
			return nil, false
		}
		settings, text = append(settings, setting{name, value}), after
	}
	return settings, len(settings) > 0
}

// keywordValue takes a value, quoted or not. A backslash escapes a character in it.
func keywordValue(text string) (value, rest string, closed bool) {
	quoted := strings.HasPrefix(text, "'")
	end := keywordSpace
	if quoted {
		text, end = text[1:], "'"
	}
	var taken strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text):
			i++
			taken.WriteByte(text[i])
		case text[i] == '\\':
		case strings.IndexByte(end, text[i]) >= 0:
			if quoted {
				return taken.String(), text[i+1:], true
			}
			return taken.String(), text[i:], true
		default:
			taken.WriteByte(text[i])
		}
	}
	return taken.String(), "", !quoted
}
