package seal

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

const (
	// MaxProofBytes bounds the text of a proof bundle.
	MaxProofBytes = 1 << 20

	proofHeader = "c2sp.org/tlog-proof@v1"
	maxHashes   = 64 // the height of a log of any size
)

// Proof is a bundle that proves offline that a row is in a log: c2sp.org/tlog-proof with
// the row as its extra data.
type Proof struct {
	// Row has the whole texts in the hashed columns, or digests where they were erased.
	// Nothing in it is proved before [Proof.Verify] returns nil.
	Row Row

	Index      int64  // the place of the row's leaf in the log
	Hashes     []Hash // of [ProveInclusion]
	Checkpoint []byte // of [SignCheckpoint], possibly with cosignatures
}

// MarshalText returns the bundle's text. [ParseProof] reads it. The error matches [ErrRow],
// [ErrBounds] or [ErrMalformed]. It does not verify the proof.
func (p Proof) MarshalText() ([]byte, error) {
	extra, err := p.Row.appendExtra(nil)
	if err != nil {
		return nil, fmt.Errorf("writing a proof bundle: %w", err)
	}
	if p.Index < 0 || p.Index >= MaxSize || len(p.Hashes) > maxHashes {
		return nil, fmt.Errorf("writing a proof bundle: no log has leaf %d with %d hashes: %w", p.Index, len(p.Hashes), ErrBounds)
	}
	if len(p.Checkpoint) == 0 || len(p.Checkpoint) > maxCheckpoint {
		return nil, fmt.Errorf("writing a proof bundle: its checkpoint has %d bytes: %w", len(p.Checkpoint), ErrMalformed)
	}
	const around, hashLine = 128, 45
	text := make([]byte, 0, around+base64.StdEncoding.EncodedLen(len(extra))+len(p.Hashes)*hashLine+len(p.Checkpoint))
	text = append(text, proofHeader+"\nextra "...)
	text = base64.StdEncoding.AppendEncode(text, extra)
	text = append(text, "\nindex "...)
	text = strconv.AppendInt(text, p.Index, 10)
	text = append(text, '\n')
	for _, h := range p.Hashes {
		text = base64.StdEncoding.AppendEncode(text, h[:])
		text = append(text, '\n')
	}
	text = append(text, '\n')
	text = append(text, p.Checkpoint...)
	if len(text) > MaxProofBytes {
		return nil, fmt.Errorf("writing a proof bundle: it has %d bytes, and a bundle has at most %d: %w", len(text), MaxProofBytes, ErrMalformed)
	}
	return text, nil
}

// ParseProof reads a bundle. It takes one spelling of each bundle, so that
// [Proof.MarshalText] returns the same text. It proves nothing: call [Proof.Verify]. The
// error matches [ErrMalformed], or [ErrRow] if the row is that of a newer release.
func ParseProof(text []byte) (Proof, error) {
	if len(text) > MaxProofBytes {
		return Proof{}, malformedProof("it has more than 1 MiB")
	}
	head, checkpoint, complete := bytes.Cut(text, []byte("\n\n"))
	if !complete || len(checkpoint) == 0 || len(checkpoint) > maxCheckpoint {
		return Proof{}, malformedProof("it has no checkpoint after an empty line, or was cut off")
	}
	lines := strings.Split(string(head), "\n")
	if lines[0] != proofHeader {
		return Proof{}, malformedProof("its first line is not " + proofHeader)
	}
	if len(lines) < 3 || len(lines) > 3+maxHashes {
		return Proof{}, malformedProof("it needs the lines extra and index and at most 64 hashes")
	}
	coded, hasExtra := strings.CutPrefix(lines[1], "extra ")
	extra, ok := decodeBase64(coded)
	if !hasExtra || !ok {
		return Proof{}, malformedProof("its second line is not extra and base64")
	}
	row, err := parseExtra(extra)
	if err != nil {
		return Proof{}, err
	}
	digits, hasIndex := strings.CutPrefix(lines[2], "index ")
	index, ok := parseNumber(digits)
	if !hasIndex || !ok || index >= MaxSize {
		return Proof{}, malformedProof("its third line is not index and a number")
	}
	hashes := make([]Hash, 0, len(lines)-3)
	for _, line := range lines[3:] {
		h, ok := parseHash(line)
		if !ok {
			return Proof{}, malformedProof("one of its hashes is damaged")
		}
		hashes = append(hashes, h)
	}
	return Proof{Row: row, Index: index, Hashes: hashes, Checkpoint: bytes.Clone(checkpoint)}, nil
}

// Verify returns the checkpoint that proves the row, after it has checked the signature,
// the origin and the proof. origin is the name of a log, which stands for all its epochs,
// or the origin of one epoch. The error matches [ErrProof], [ErrRow], [ErrBounds] or one of
// [OpenCheckpoint].
func (p Proof) Verify(origin string, verifiers ...note.Verifier) (Checkpoint, error) {
	c, err := p.verify(origin, verifiers)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("verifying a proof bundle: %w", err)
	}
	return c, nil
}

func (p Proof) verify(origin string, verifiers []note.Verifier) (Checkpoint, error) {
	leaf, err := p.Row.Hash()
	if err != nil {
		return Checkpoint{}, err
	}
	c, err := openCheckpoint(p.Checkpoint, verifiers, func(c Checkpoint) bool {
		return c.Origin == origin || logName(c.Origin) == origin
	}, origin)
	if err != nil {
		return Checkpoint{}, err
	}
	if err := CheckInclusion(c.Size, c.Root, p.Index, leaf, p.Hashes); err != nil {
		return Checkpoint{}, fmt.Errorf("the row or the proof was altered: %w", err)
	}
	return c, nil
}

func malformedProof(cause string) error {
	return fmt.Errorf("reading a proof bundle: %s: %w", cause, ErrMalformed)
}

// The lengths that stand for something else in a bundle's row.
const (
	extraVersion = 1
	nullLength   = math.MaxUint32
	digestLength = math.MaxUint32 - 1 // 32 bytes follow: the digest of an erased text
)
