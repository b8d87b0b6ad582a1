package console

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// position is the place of a watcher: how many events of which run it has seen.
type position struct {
	run string
	n   int64
}

// start is the place of a page that was made before its run began.
const start = "-0"

// unknownRun is the run of a place that this console did not write, such as one that ran before.
const unknownRun = "?"

// places writes positions so that a watcher cannot read them. They count the records of the whole
// hub, also those of tenants that the watcher must not know of. Two texts of the same position
// differ, so a watcher cannot tell either whether it has moved. Each console has a key of its own.
type places struct{ key cipher.AEAD }

func newPlaces() (places, error) {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails
	block, err := aes.NewCipher(secret[:])
	if err != nil {
		return places{}, err
	}
	key, err := cipher.NewGCMWithRandomNonce(block)
	return places{key}, err
}

// text is a position as a run, which is no secret, and a sealed number.
func (p places) text(at position) string {
	if at.run == "" {
		return start
	}
	number := p.key.Seal(nil, nil, binary.BigEndian.AppendUint64(nil, uint64(at.n)), []byte(at.run)) //nolint:gosec // it makes a nonce of its own
	return at.run + "-" + base64.RawURLEncoding.EncodeToString(number)
}

// parse reads a position. One that this console did not write has lost its place. It is not ok if
// the text has not the form of one.
func (p places) parse(text string) (at position, ok bool) {
	if text == start {
		return position{}, true
	}
	run, sealed, ok := strings.Cut(text, "-")
	if !ok || run == "" || len(run) > maxRun {
		return at, false
	}
	at.run = unknownRun
	number, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return at, true
	}
	if number, err = p.key.Open(nil, nil, number, []byte(run)); err == nil && len(number) == numberSize {
		at = position{run, int64(binary.BigEndian.Uint64(number))}
	}
	return at, true
}

const (
	maxRun     = 16 // characters of the name of a run
	numberSize = 8
)
