package term

import (
	"unicode/utf8"
)

// Shorten cuts the end of a text that has more characters than width.
func Shorten(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:max(width-1, 0)]) + "…"
}

// ShortenID cuts the middle of an id, because ids often differ at the end.
func ShortenID(id string, width int) string {
	runes := []rune(id)
	if len(runes) <= width {
		return id
	}
	end := max(width-1, 0) / 2
	return string(runes[:max(width-1, 0)-end]) + "…" + string(runes[len(runes)-end:])
}
