package term

import (
	"unicode"

	"golang.org/x/text/width"
)

// Cells is how many columns of a terminal a text takes: two for a wide character, such as
// those of Chinese and most emoji, none for a mark that combines with the one before. The
// text has no control characters, since format.Printable escapes them.
func Cells(text string) (cells int) {
	for _, r := range text {
		cells += cellsOf(r)
	}
	return cells
}

// emojiVariation makes a wide emoji of the character before.
const emojiVariation = '\ufe0f'

func cellsOf(r rune) int {
	const firstMark = '\u0300'
	switch {
	case r < firstMark || r == emojiVariation:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	default:
		return 1
	}
}

// head is the longest beginning of a text that fits, with the marks of its last character.
func head(text string, room int) string {
	taken := 0
	for i, r := range text {
		if taken += cellsOf(r); taken > room {
			return text[:i]
		}
	}
	return text
}

// tail is the longest end of a text that fits, and begins with a whole character.
func tail(text string, room int) string {
	left := Cells(text)
	for i, r := range text {
		if isMark := cellsOf(r) == 0 || r == emojiVariation; !isMark && left <= room {
			return text[i:]
		}
		left -= cellsOf(r)
	}
	return ""
}
