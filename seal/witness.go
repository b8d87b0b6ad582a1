package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/audit"
)

const (
	ed25519Key      = 1 // the type byte of a log's key
	cosignatureKey  = 4 // the type byte of a witness's key
	cosignatureSize = 8 + ed25519.SignatureSize
)

// Witness is the name and the public key of a witness. It is the [note.Verifier] of
// cosignature/v1 (c2sp.org/tlog-cosignature), with Ed25519.
type Witness struct {
	name string
	key  ed25519.PublicKey
	hash uint32
}

// NewWitness reads a verifier key of a witness, as [GenerateWitnessKey] writes it. The
// error matches [ErrKey].
func NewWitness(text string) (*Witness, error) {
	name, rest, _ := strings.Cut(text, "+")
	hexHash, encoded, _ := strings.Cut(rest, "+")
	hash, err := strconv.ParseUint(hexHash, 16, 32)
	material, ok := decodeBase64(encoded)
	switch {
	case err != nil || len(hexHash) != 8 || !ok || len(material) != 1+ed25519.PublicKeySize || !isKeyName(name):
		return nil, fmt.Errorf("reading the key of a witness: it is not NAME+HASH+KEY, get it again from the witness's operator: %w", ErrKey)
	case material[0] == ed25519Key:
		return nil, fmt.Errorf("reading the key of a witness: it is the key of a log, get the witness's key: %w", ErrKey)
	case material[0] != cosignatureKey:
		return nil, fmt.Errorf("reading the key of a witness: it has type %d, and only type %d is known (Ed25519 cosignatures): %w", material[0], cosignatureKey, ErrKey)
	}
	w := witnessOf(name, material[1:])
	if uint32(hash) != w.hash {
		return nil, fmt.Errorf("reading the key of a witness: its hash does not fit, get it again from the witness's operator: %w", ErrKey)
	}
	return w, nil
}

func witnessOf(name string, public ed25519.PublicKey) *Witness {
	sum := sha256.Sum256(append([]byte(name+"\n"), typed(cosignatureKey, public)...))
	return &Witness{name: name, key: bytes.Clone(public), hash: binary.BigEndian.Uint32(sum[:])}
}

func typed(kind byte, key []byte) []byte { return append([]byte{kind}, key...) }

// isKeyName reports whether signed notes take the name of a key.
func isKeyName(name string) bool {
	return name != "" && utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool {
		return r == '+' || unicode.IsSpace(r) || unicode.IsControl(r)
	})
}

// Name implements [note.Verifier].
func (w *Witness) Name() string { return w.name }

// KeyHash implements [note.Verifier].
func (w *Witness) KeyHash() uint32 { return w.hash }

// Verify implements [note.Verifier]. It takes no cosignature without a time.
func (w *Witness) Verify(msg, sig []byte) bool {
	if len(sig) != cosignatureSize {
		return false
	}
	at := binary.BigEndian.Uint64(sig)
	return at > 0 && at <= math.MaxInt64 && ed25519.Verify(w.key, cosigned(msg, at), sig[8:])
}

// String returns the key in the encoding that [NewWitness] reads.
func (w *Witness) String() string {
	return fmt.Sprintf("%s+%08x+%s", w.name, w.hash, base64.StdEncoding.EncodeToString(typed(cosignatureKey, w.key)))
}

// cosigned returns what a witness signs at a time.
func cosigned(text []byte, at uint64) []byte {
	return append([]byte("cosignature/v1\ntime "+strconv.FormatUint(at, 10)+"\n"), text...)
}

// WitnessSigner is the private key of a witness.
type WitnessSigner struct {
	witness *Witness
	key     ed25519.PrivateKey
}

// NewWitnessSigner reads a signer key of a witness, as [GenerateWitnessKey] writes it. The
// error matches [ErrKey] and does not repeat the key.
func NewWitnessSigner(text string) (*WitnessSigner, error) {
	rest, private := strings.CutPrefix(text, privatePrefix)
	name, rest, _ := strings.Cut(rest, "+")
	hexHash, encoded, _ := strings.Cut(rest, "+")
	hash, err := strconv.ParseUint(hexHash, 16, 32)
	material, ok := decodeBase64(encoded)
	if !private || err != nil || len(hexHash) != 8 || !ok || len(material) != 1+ed25519.SeedSize || material[0] != cosignatureKey || CheckName(name) != nil {
		return nil, fmt.Errorf("reading the signer key of a witness: it is damaged or not one, restore it or %s: %w", witnessKeygen, ErrKey)
	}
	s := signerOf(name, material[1:])
	if uint32(hash) != s.witness.hash {
		return nil, fmt.Errorf("reading the signer key of a witness: its hash does not fit, restore it or %s: %w", witnessKeygen, ErrKey)
	}
	return s, nil
}

func signerOf(name string, seed []byte) *WitnessSigner {
	key := ed25519.NewKeyFromSeed(seed)
	return &WitnessSigner{witness: witnessOf(name, ed25519.PublicKey(key[ed25519.SeedSize:])), key: key}
}

// Witness returns the public key.
func (s *WitnessSigner) Witness() *Witness { return s.witness }

// Cosign returns the signature line over a checkpoint's note text, which states that it was
// seen at a time. Its precision is the second. The error matches [ErrMalformed] if the text
// is not that of a checkpoint, and [ErrBounds] if the time is not after 1970.
func (s *WitnessSigner) Cosign(text string, at time.Time) (line string, err error) {
	if _, err := ParseCheckpointText(text); err != nil {
		return "", fmt.Errorf("cosigning: %w", err)
	}
	if at.Unix() <= 0 {
		return "", fmt.Errorf("cosigning: the clock says %s, set it right: %w", audit.FormatTime(at), ErrBounds)
	}
	seconds := uint64(at.Unix())
	data := binary.BigEndian.AppendUint32(nil, s.witness.hash)
	data = binary.BigEndian.AppendUint64(data, seconds)
	data = append(data, ed25519.Sign(s.key, cosigned([]byte(text), seconds))...)
	return signatureLine(s.witness.name, base64.StdEncoding.EncodeToString(data)), nil
}

func signatureLine(name, encoded string) string { return "— " + name + " " + encoded + "\n" }

// Cosignature is what a witness states with its signature: at this time, this was the
// largest tree of the log that it had seen, and the log had only ever grown.
type Cosignature struct {
	Witness *Witness
	Time    time.Time
	Line    string // the signature line, with its end
}

// Cosignatures returns the cosignatures of the given witnesses on a signed checkpoint, each
// verified, in the order of the note. It ignores other signatures, also the log's: see
// [OpenCosigned]. The error matches [ErrUnsigned] if a cosignature of a given witness is
// wrong, [ErrMalformed] if the text is not a signed note, and [ErrKey] if two witnesses
// share a key.
func Cosignatures(signed []byte, witnesses ...*Witness) ([]Cosignature, error) {
	verifiers, err := distinct(witnesses)
	if err != nil {
		return nil, fmt.Errorf("opening cosignatures: %w", err)
	}
	opened, err := readNote(signed, verifiers)
	if err != nil {
		return nil, fmt.Errorf("opening cosignatures: %w", err)
	}
	found := make([]Cosignature, 0, len(opened.Sigs))
	for _, sig := range opened.Sigs {
		for _, w := range witnesses {
			if w.name == sig.Name && w.hash == sig.Hash {
				found = append(found, Cosignature{Witness: w, Time: cosignedAt(sig.Base64), Line: signatureLine(sig.Name, sig.Base64)})
			}
		}
	}
	return found, nil
}

// cosignedAt returns the time of a signature that was verified.
func cosignedAt(encoded string) time.Time {
	data, _ := decodeBase64(encoded)
	return time.Unix(int64(binary.BigEndian.Uint64(data[4:])), 0).UTC()
}

// distinct refuses a key that would count twice. The signed text does not have the
// witness's name, so one key under two names is one witness.
func distinct(witnesses []*Witness) ([]note.Verifier, error) {
	seen := map[string]bool{}
	verifiers := make([]note.Verifier, 0, len(witnesses))
	for _, w := range witnesses {
		if w == nil {
			return nil, fmt.Errorf("the key of a witness is missing: %w", ErrKey)
		}
		if seen[string(w.key)] {
			return nil, fmt.Errorf("the key of witness %s is given twice, it is one witness: %w", audit.Printable(w.name), ErrKey)
		}
		seen[string(w.key)] = true
		verifiers = append(verifiers, w)
	}
	return verifiers, nil
}

// CheckWitnesses returns nil if no key is missing and none is given twice, also under another
// name: that would be one witness. Otherwise the error matches [ErrKey].
func CheckWitnesses(witnesses ...*Witness) error {
	_, err := distinct(witnesses)
	return err
}

// OpenCosigned is [OpenCheckpoint] for a checkpoint that at least quorum of the witnesses
// must have cosigned. It returns the cosignatures. If there are fewer, the error matches
// [ErrUncosigned]. If quorum is not 1 to the number of witnesses, it matches [ErrKey].
func OpenCosigned(signed []byte, origin string, log note.Verifier, quorum int, witnesses ...*Witness) (Checkpoint, []Cosignature, error) {
	if quorum < 1 || quorum > len(witnesses) {
		return Checkpoint{}, nil, fmt.Errorf("opening a checkpoint of %s: %d of %d witnesses cannot be required: %w", audit.Printable(origin), quorum, len(witnesses), ErrKey)
	}
	checkpoint, err := OpenCheckpoint(signed, origin, log)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	found, err := Cosignatures(signed, witnesses...)
	if err != nil {
		return Checkpoint{}, nil, fmt.Errorf("opening a checkpoint of %s: %w", audit.Printable(origin), err)
	}
	if len(found) < quorum {
		return Checkpoint{}, nil, fmt.Errorf("opening a checkpoint of %s: %d of the %d given witnesses cosigned it, and %d are required: %w", audit.Printable(origin), len(found), len(witnesses), quorum, ErrUncosigned)
	}
	return checkpoint, found, nil
}
