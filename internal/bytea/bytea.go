// Package bytea reads columns of bytes. pgx reads only one of the two text forms in which a
// server sends them, and the session's bytea_output, which is not ours to set, chooses the
// other one. The binary form is always the same.
package bytea

import (
	"encoding/hex"
	"errors"

	"github.com/jackc/pgx/v5/pgtype"
)

// Bytes is the value of a column. NULL is nil.
type Bytes []byte

var (
	_ pgtype.BytesScanner = (*Bytes)(nil)
	_ pgtype.TextScanner  = (*Bytes)(nil)
)

// ScanBytes implements [pgtype.BytesScanner], for the binary form.
func (b *Bytes) ScanBytes(value []byte) error {
	*b = append(Bytes(nil), value...)
	return nil
}

// ScanText implements [pgtype.TextScanner], for the text forms. Bytes that begin with \x in
// the escape form have their backslash doubled, so the two cannot be mistaken.
func (b *Bytes) ScanText(value pgtype.Text) (err error) {
	text := value.String
	switch {
	case !value.Valid:
		*b = nil
	case len(text) >= 2 && text[:2] == `\x`:
		*b, err = hex.DecodeString(text[2:])
	default:
		*b, err = unescape(text)
	}
	return err
}

var errForm = errors.New("the server's answer holds bytes in an unknown form")

// unescape reads bytes in which a backslash is doubled, and what is not printable is three
// octal digits behind a backslash.
func unescape(text string) (Bytes, error) {
	value := make(Bytes, 0, len(text))
	for len(text) > 0 {
		switch {
		case text[0] != '\\':
			value, text = append(value, text[0]), text[1:]
		case len(text) >= 2 && text[1] == '\\':
			value, text = append(value, '\\'), text[2:]
		case len(text) >= 4 && octal(text[1]) && octal(text[2]) && octal(text[3]) && text[1] <= '3':
			value = append(value, (text[1]-'0')<<6|(text[2]-'0')<<3|(text[3]-'0'))
			text = text[4:]
		default:
			return nil, errForm
		}
	}
	return value, nil
}

func octal(digit byte) bool { return digit >= '0' && digit <= '7' }
