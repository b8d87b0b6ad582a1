package serving

import (
	"fmt"
	"strings"

	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/internal/ownfile"
)

// A token has at least minToken characters, so that it cannot be guessed.
const minToken = 16

// readToken reads the token from a file that only its owner may read.
func readToken(path string) (string, error) {
	token, err := ownfile.Read(path, ownfile.Kind{Noun: "token", Not: "is no token", Secret: true})
	if err == nil && (len(token) < minToken || strings.ContainsAny(token, " \t\r\n")) {
		err = fmt.Errorf("it must hold one word of %d characters or more, make one with: openssl rand -hex 32", minToken)
	}
	if err != nil {
		return "", fmt.Errorf("reading the token file %s: %w", format.Printable(path), err)
	}
	return token, nil
}
