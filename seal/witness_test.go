package seal_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/seal"
)

const witnessName = "witness.example/w1"

// cosignedLog is a signed checkpoint, and keys.
type cosignedLog struct {
	log      note.Verifier
	text     string
	signed   []byte
	signers  []*seal.WitnessSigner
	verifies []*seal.Witness
}

func newCosignedLog(tb testing.TB, witnesses int) cosignedLog {
	tb.Helper()
	private, public, err := seal.GenerateKey(rand.Reader, logName)
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		tb.Fatal(err)
	}
	c := seal.Checkpoint{Origin: logName, Size: 7, Root: sha256.Sum256([]byte("root"))}
	l := cosignedLog{text: c.Text()}
	if l.log, err = note.NewVerifier(public); err != nil {
		tb.Fatal(err)
	}
	if l.signed, err = seal.SignCheckpoint(c, signer); err != nil {
		tb.Fatal(err)
	}
	for i := range witnesses {
		l.add(tb, fmt.Sprintf("witness.example/w%d", i))
	}
	return l
}

func (l *cosignedLog) add(tb testing.TB, name string) {
	tb.Helper()
	private, public, err := seal.GenerateWitnessKey(rand.Reader, name)
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := seal.NewWitnessSigner(private)
	if err != nil {
		tb.Fatal(err)
	}
	witness, err := seal.NewWitness(public)
	if err != nil {
		tb.Fatal(err)
	}
	l.signers, l.verifies = append(l.signers, signer), append(l.verifies, witness)
}

func (l *cosignedLog) cosign(tb testing.TB, i int) {
	tb.Helper()
	line, err := l.signers[i].Cosign(l.text, time.Unix(1_700_000_000+int64(i), 0))
	if err != nil {
		tb.Fatal(err)
	}
	l.signed = append(l.signed, line...)
}

// handMade is the signature line as the specification has its bytes, made without package
// seal.
func handMade(name string, key ed25519.PrivateKey, text string, at uint64) string {
	id := sha256.Sum256([]byte(name + "\n\x04" + string(key.Public().(ed25519.PublicKey))))
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", at, text)
	raw := append([]byte{}, id[:4]...)
	raw = append(raw, binary.BigEndian.AppendUint64(nil, at)...)
	raw = append(raw, ed25519.Sign(key, []byte(message))...)
	return "— " + name + " " + base64.StdEncoding.EncodeToString(raw) + "\n"
}

// A cosignature has the bytes of the specification, in both directions.
func TestCosignatureIsThatOfSpecification(t *testing.T) {
	t.Parallel()
	seed := bytes.Repeat([]byte{7}, ed25519.SeedSize)
	key := ed25519.NewKeyFromSeed(seed)
	id := sha256.Sum256([]byte(witnessName + "\n\x04" + string(key.Public().(ed25519.PublicKey))))
	hash := hex.EncodeToString(id[:4])
	private, public, err := seal.GenerateWitnessKey(bytes.NewReader(seed), witnessName)
	if err != nil {
		t.Fatal(err)
	}
	if want := witnessName + "+" + hash + "+" + base64.StdEncoding.EncodeToString(append([]byte{4}, key.Public().(ed25519.PublicKey)...)); public != want {
		t.Errorf("verifier %s, want %s", public, want)
	}
	signer, err := seal.NewWitnessSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	l := newCosignedLog(t, 0)
	const at = 1_679_315_147
	line, err := signer.Cosign(l.text, time.Unix(at, 999_999_999))
	if err != nil {
		t.Fatal(err)
	}
	if want := handMade(witnessName, key, l.text, at); line != want {
		t.Errorf("line %q, want %q", line, want)
	}
	found, err := seal.Cosignatures([]byte(string(l.signed)+handMade(witnessName, key, l.text, at)), signer.Witness())
	if err != nil || len(found) != 1 || !found[0].Time.Equal(time.Unix(at, 0)) || found[0].Line != line || found[0].Witness.String() != public {
		t.Errorf("%+v, %v", found, err)
	}
}

// A cosignature without a time, of a time that no clock has, of another text, or of another
// key does not count.
func TestWrongCosignatureIsRefused(t *testing.T) {
	t.Parallel()
	l := newCosignedLog(t, 0)
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, ed25519.SeedSize))
	witness, err := seal.NewWitness(witnessKey(witnessName, 4, key.Public().(ed25519.PublicKey)))
	if err != nil {
		t.Fatal(err)
	}
	good := handMade(witnessName, key, l.text, 5)
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(good[strings.LastIndexByte(good, ' '):]))
	if err != nil {
		t.Fatal(err)
	}
	retimed := bytes.Clone(raw)
	retimed[11]++
	for name, line := range map[string]string{
		"NoTime":      handMade(witnessName, key, l.text, 0),
		"HugeTime":    handMade(witnessName, key, l.text, math.MaxInt64+1),
		"AnotherText": handMade(witnessName, key, strings.Replace(l.text, "7", "8", 1), 5),
		"AnotherTime": "— " + witnessName + " " + base64.StdEncoding.EncodeToString(retimed) + "\n",
		"Cut":         "— " + witnessName + " " + base64.StdEncoding.EncodeToString(raw[:len(raw)-1]) + "\n",
		"OnlyTime":    "— " + witnessName + " " + base64.StdEncoding.EncodeToString(raw[:12]) + "\n",
	} {
		if found, err := seal.Cosignatures([]byte(string(l.signed)+line), witness); !errors.Is(err, seal.ErrUnsigned) || found != nil {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
	for name, line := range map[string]string{
		"AnotherKey":  handMade(witnessName, other, l.text, 5),
		"AnotherName": handMade("witness.example/w2", key, l.text, 5),
		"None":        "",
	} {
		if found, err := seal.Cosignatures([]byte(string(l.signed)+line), witness); err != nil || len(found) != 0 {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
	if found, err := seal.Cosignatures([]byte(string(l.signed)+good), witness); err != nil || len(found) != 1 {
		t.Errorf("the right one: %v, %v", found, err)
	}
}

func witnessKey(name string, kind byte, public []byte) string {
	material := append([]byte{kind}, public...)
	id := sha256.Sum256(append([]byte(name+"\n"), material...))
	return fmt.Sprintf("%s+%x+%s", name, id[:4], base64.StdEncoding.EncodeToString(material))
}

// A cosigned checkpoint needs the log's signature and the quorum, and stays a checkpoint for
// whoever knows no witness.
func TestOpenCosignedNeedsQuorum(t *testing.T) {
	t.Parallel()
	l := newCosignedLog(t, 3)
	if _, err := seal.OpenCheckpoint(l.signed, logName, l.log); err != nil {
		t.Fatal(err)
	}
	for have := range 4 {
		if have > 0 {
			l.cosign(t, have-1)
		}
		if _, err := seal.OpenCheckpoint(l.signed, logName, l.log); err != nil {
			t.Errorf("%d cosignatures, without witnesses: %v", have, err)
		}
		for quorum := 1; quorum <= 3; quorum++ {
			c, found, err := seal.OpenCosigned(l.signed, logName, l.log, quorum, l.verifies...)
			switch {
			case have < quorum && (!errors.Is(err, seal.ErrUncosigned) || c != seal.Checkpoint{} || found != nil):
				t.Errorf("%d of %d: %v, %v, %v", have, quorum, c, found, err)
			case have >= quorum && (err != nil || c.Size != 7 || len(found) != have):
				t.Errorf("%d of %d: %v, %v, %v", have, quorum, c, found, err)
			}
		}
	}
	for _, quorum := range []int{0, -1, 4} {
		if _, _, err := seal.OpenCosigned(l.signed, logName, l.log, quorum, l.verifies...); !errors.Is(err, seal.ErrKey) {
			t.Errorf("a quorum of %d: %v", quorum, err)
		}
	}
	if _, _, err := seal.OpenCosigned(l.signed, "audit.example.com/other", l.log, 1, l.verifies...); !errors.Is(err, seal.ErrOrigin) {
		t.Errorf("another origin: %v", err)
	}
	onlyWitnesses := []byte(l.text + "\n")
	for i := range l.signers {
		line, err := l.signers[i].Cosign(l.text, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		onlyWitnesses = append(onlyWitnesses, line...)
	}
	if _, _, err := seal.OpenCosigned(onlyWitnesses, logName, l.log, 1, l.verifies...); !errors.Is(err, seal.ErrUnsigned) {
		t.Errorf("without the log's signature: %v", err)
	}
}

// A witness counts once, also with two lines, and one key under two names is refused.
func TestWitnessCountsOnce(t *testing.T) {
	t.Parallel()
	l := newCosignedLog(t, 2)
	l.cosign(t, 0)
	again, err := l.signers[0].Cosign(l.text, time.Unix(1_800_000_000, 0))
	if err != nil {
		t.Fatal(err)
	}
	l.signed = append(l.signed, again...)
	if _, _, err := seal.OpenCosigned(l.signed, logName, l.log, 2, l.verifies...); !errors.Is(err, seal.ErrUncosigned) {
		t.Errorf("two lines of one witness are a quorum of two: %v", err)
	}
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize)).Public().(ed25519.PublicKey)
	one, err := seal.NewWitness(witnessKey("witness.example/one", 4, key))
	if err != nil {
		t.Fatal(err)
	}
	alias, err := seal.NewWitness(witnessKey("witness.example/alias", 4, key))
	if err != nil {
		t.Fatal(err)
	}
	for name, witnesses := range map[string][]*seal.Witness{"Alias": {one, alias}, "Twice": {one, one}, "Nil": {one, nil}} {
		if _, _, err := seal.OpenCosigned(l.signed, logName, l.log, 1, witnesses...); !errors.Is(err, seal.ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
		if err := seal.CheckWitnesses(witnesses...); !errors.Is(err, seal.ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A witness signs no text that is not a checkpoint's, and no time that a cosignature cannot
// have.
func TestWitnessSignsCheckpointsOnly(t *testing.T) {
	t.Parallel()
	l := newCosignedLog(t, 1)
	if line, err := l.signers[0].Cosign("hello\n", time.Now()); !errors.Is(err, seal.ErrMalformed) || line != "" {
		t.Errorf("%q, %v", line, err)
	}
	for _, at := range []time.Time{{}, time.Unix(0, 0), time.Unix(-1, 0)} {
		if line, err := l.signers[0].Cosign(l.text, at); !errors.Is(err, seal.ErrBounds) || line != "" {
			t.Errorf("at %v: %q, %v", at, line, err)
		}
	}
}

// What is not the key of a witness is refused, and a private key is never repeated.
func TestWitnessKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "witness")
	public, err := seal.CreateWitnessKey(path, witnessName)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := seal.LoadWitnessSigner(path)
	if err != nil || signer.Witness().String() != public {
		t.Fatalf("%v", err)
	}
	for _, from := range []string{path + ".pub", public, " " + public + "\n"} {
		if w, err := seal.LoadWitness(from); err != nil || w.String() != public || w.Name() != witnessName {
			t.Errorf("%q: %v, %v", from, w, err)
		}
	}
	if _, err := seal.CreateWitnessKey(path, witnessName); !errors.Is(err, seal.ErrKey) {
		t.Errorf("over another key: %v", err)
	}
	if _, err := seal.CreateWitnessKey(filepath.Join(dir, "bad"), "two words"); !errors.Is(err, seal.ErrName) {
		t.Errorf("a bad name: %v", err)
	}
	private, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.TrimSpace(string(private))
	logPath := filepath.Join(dir, "log")
	logPublic, err := seal.CreateKey(logPath, logName)
	if err != nil {
		t.Fatal(err)
	}
	point := []byte(witnessKey("w", 4, make([]byte, 32)))
	for name, from := range map[string]string{
		"Private": secret, "PrivateFile": path, "LogKey": logPublic, "LogFile": logPath + ".pub", "NoFile": filepath.Join(dir, "none"),
		"Type": witnessKey("w", 6, make([]byte, 32)), "Short": witnessKey("w", 4, make([]byte, 31)), "Hash": string(bytes.Replace(point, []byte("w+"), []byte("x+"), 1)),
		"Empty": "", "Control": witnessKey("w\x01", 4, make([]byte, 32)),
	} {
		w, err := seal.LoadWitness(from)
		if !errors.Is(err, seal.ErrKey) || w != nil || strings.Contains(err.Error(), secret[len(secret)-20:]) {
			t.Errorf("%s: %v, %v", name, w, err)
		}
	}
	for name, from := range map[string]string{"Public": path + ".pub", "LogKey": logPath, "NoFile": filepath.Join(dir, "none")} {
		if s, err := seal.LoadWitnessSigner(from); !errors.Is(err, seal.ErrKey) || s != nil {
			t.Errorf("signer %s: %v", name, err)
		}
	}
	for _, text := range []string{"", "PRIVATE+KEY+w+00000000+AAAA", strings.Replace(secret, witnessName, "witness.example/w2", 1), secret[:len(secret)-4], public} {
		if s, err := seal.NewWitnessSigner(text); !errors.Is(err, seal.ErrKey) || s != nil || strings.Contains(err.Error(), secret[len(secret)-20:]) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}
