package seal

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/hoc-analytics/coordaudit/audit"
)

const maxCheckpoint = 64 << 10

// Checkpoint commits to a whole log: with its size and root, none of its leaves can be
// changed, removed or moved.
type Checkpoint struct {
	Origin string // see [Origin]
	Size   int64
	Root   Hash
}

// Text returns the note text of c2sp.org/tlog-checkpoint, without extension lines.
func (c Checkpoint) Text() string {
	return c.Origin + "\n" + strconv.FormatInt(c.Size, 10) + "\n" + c.Root.String() + "\n"
}

// ParseCheckpointText reads a checkpoint's note text. It ignores extension lines. It takes
// any origin that C2SP allows, also that of another log. The error matches [ErrMalformed].
func ParseCheckpointText(text string) (Checkpoint, error) {
	body, complete := strings.CutSuffix(text, "\n")
	lines := strings.Split(body, "\n")
	switch {
	case !complete || len(lines) < 3 || len(text) > maxCheckpoint:
		return Checkpoint{}, fmt.Errorf("reading a checkpoint: it needs three lines, each with its end: %w", ErrMalformed)
	case slices.Contains(lines, ""):
		return Checkpoint{}, fmt.Errorf("reading a checkpoint: it has an empty line: %w", ErrMalformed)
	case !utf8.ValidString(lines[0]) || strings.ContainsFunc(lines[0], unicode.IsControl):
		return Checkpoint{}, fmt.Errorf("reading a checkpoint: its origin has characters that no origin has: %w", ErrMalformed)
	}
	size, ok := parseNumber(lines[1])
	if !ok || size > MaxSize {
		return Checkpoint{}, fmt.Errorf("reading a checkpoint: its second line is not the size of a log: %w", ErrMalformed)
	}
	root, ok := parseHash(lines[2])
	if !ok {
		return Checkpoint{}, fmt.Errorf("reading a checkpoint: its third line is not a root: %w", ErrMalformed)
	}
	return Checkpoint{Origin: lines[0], Size: size, Root: root}, nil
}

// SignCheckpoint returns the checkpoint as a signed note. One of the signers must have the
// name of the log. The error matches [ErrName], [ErrBounds] or [ErrKey], or it is a
// signer's.
func SignCheckpoint(c Checkpoint, signers ...note.Signer) ([]byte, error) {
	name := logName(c.Origin)
	if err := CheckName(name); err != nil {
		return nil, fmt.Errorf("signing a checkpoint: %w", err)
	}
	if c.Size < 0 || c.Size > MaxSize {
		return nil, fmt.Errorf("signing a checkpoint of %d leaves: %w", c.Size, ErrBounds)
	}
	if slices.Contains(signers, nil) || !slices.ContainsFunc(signers, func(s note.Signer) bool { return s.Name() == name }) {
		return nil, fmt.Errorf("signing a checkpoint of %s: none of the %d keys has the log's name, make one with coordaudit seal keygen: %w", audit.Printable(name), len(signers), ErrKey)
	}
	signed, err := note.Sign(&note.Note{Text: c.Text()}, signers...)
	if err != nil {
		return nil, fmt.Errorf("signing a checkpoint of %s: %w", audit.Printable(name), err)
	}
	return signed, nil
}

// OpenCheckpoint returns a signed checkpoint of an origin, after it has checked the
// signature. At least one of the verifiers must be a key of the log, that is, have its
// name, and have signed it. Signatures of unknown keys are ignored. The error matches
// [ErrMalformed], [ErrUnsigned], [ErrOrigin] or [ErrKey]. Nothing of a checkpoint that is
// not signed is returned.
func OpenCheckpoint(signed []byte, origin string, verifiers ...note.Verifier) (Checkpoint, error) {
	return openCheckpoint(signed, verifiers, func(c Checkpoint) bool { return c.Origin == origin }, origin)
}

// OpenLog is [OpenCheckpoint] for any epoch of the log of a key. It returns the epoch as well.
// The error may also match [ErrName].
func OpenLog(signed []byte, key note.Verifier) (epoch int64, c Checkpoint, err error) {
	text, _, _ := strings.Cut(string(signed), "\n\n")
	if c, err = ParseCheckpointText(text + "\n"); err != nil {
		return 0, Checkpoint{}, err
	}
	if epoch, err = ParseOrigin(c.Origin, key.Name()); err != nil {
		return 0, Checkpoint{}, err
	}
	if c, err = OpenCheckpoint(signed, c.Origin, key); err != nil {
		return 0, Checkpoint{}, err
	}
	return epoch, c, nil
}

func openCheckpoint(signed []byte, verifiers []note.Verifier, wanted func(Checkpoint) bool, origin string) (Checkpoint, error) {
	opened, err := openNote(signed, verifiers)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("opening a checkpoint of %s: %w", audit.Printable(origin), err)
	}
	c, err := ParseCheckpointText(opened.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	if !wanted(c) {
		return Checkpoint{}, fmt.Errorf("opening a checkpoint of %s: it is one of %s: %w", audit.Printable(origin), audit.Printable(c.Origin), ErrOrigin)
	}
	name := logName(c.Origin)
	if !slices.ContainsFunc(opened.Sigs, func(s note.Signature) bool { return s.Name == name }) {
		return Checkpoint{}, fmt.Errorf("opening a checkpoint of %s: only keys with other names signed it: %w", audit.Printable(origin), ErrUnsigned)
	}
	return c, nil
}

func openNote(signed []byte, verifiers []note.Verifier) (*note.Note, error) {
	if slices.Contains(verifiers, nil) || len(verifiers) == 0 {
		return nil, fmt.Errorf("a verifier key is missing, give the log's .pub file: %w", ErrKey)
	}
	opened, err := readNote(signed, verifiers)
	if err == nil && len(opened.Sigs) == 0 {
		return nil, fmt.Errorf("none of the %d given keys signed it, get the key of whoever runs the log: %w", len(verifiers), ErrUnsigned)
	}
	return opened, err
}

// readNote returns a note with the signatures of known keys. There may be none.
func readNote(signed []byte, verifiers []note.Verifier) (*note.Note, error) {
	if len(signed) > maxCheckpoint || !strictSignatures(string(signed)) {
		return nil, fmt.Errorf("it is not a signed note, or was cut off: %w", ErrMalformed)
	}
	opened, err := note.Open(signed, note.VerifierList(verifiers...))
	if unverified, ok := errors.AsType[*note.UnverifiedNoteError](err); ok {
		return unverified.Note, nil
	}
	if invalid, ok := errors.AsType[*note.InvalidSignatureError](err); ok {
		return nil, fmt.Errorf("the signature of %s is wrong, the checkpoint was altered: %w", audit.Printable(invalid.Name), ErrUnsigned)
	}
	if err != nil {
		return nil, fmt.Errorf("it is not a signed note, or was cut off: %w", ErrMalformed)
	}
	return opened, nil
}

// strictSignatures refuses signature lines whose base64 has a second spelling, which
// note.Open takes.
func strictSignatures(signed string) bool {
	i := strings.LastIndex(signed, "\n\n")
	if i < 0 {
		return false
	}
	for line := range strings.Lines(signed[i+2:]) {
		line = strings.TrimSuffix(line, "\n")
		if _, ok := decodeBase64(line[strings.LastIndexByte(line, ' ')+1:]); !ok {
			return false
		}
	}
	return true
}

// parseHash reads what [Hash.String] writes.
func parseHash(text string) (h Hash, ok bool) {
	data, ok := decodeBase64(text)
	if !ok || len(data) != tlog.HashSize {
		return Hash{}, false
	}
	return Hash(data), true
}

// decodeBase64 takes one spelling of each value: no line ends in it, no stray bits.
func decodeBase64(text string) ([]byte, bool) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, false
	}
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	return data, err == nil
}
