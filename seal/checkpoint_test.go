package seal_test

import (
	"crypto/sha256"
	"errors"
	"math"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/seal"
)

func TestNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", logName, "übung", strings.Repeat("a", 200), "a/epoch/", "a/epoch/x", "a/epoch/02", "/epoch/2x"} {
		if err := seal.CheckName(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{
		"", "a b", "a+b", "a\nb", "a\x00", "a\u00a0b", "a\u2028", "a\u202eb", "a\x7f", "\xff", strings.Repeat("a", 201),
		"a/epoch/2", "a/epoch/0", "/epoch/17", "a/epoch/99999999999999999999",
	} {
		err := seal.CheckName(name)
		if !errors.Is(err, seal.ErrName) || strings.ContainsFunc(err.Error(), unicode.IsControl) {
			t.Errorf("name %q: %v", name, err)
		}
	}
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	for epoch, want := range map[int64]string{
		1: "log", 2: "log/epoch/2", math.MaxInt64: "log/epoch/9223372036854775807",
	} {
		origin := seal.Origin("log", epoch)
		back, err := seal.ParseOrigin(origin, "log")
		if origin != want || back != epoch || err != nil {
			t.Errorf("epoch %d is %q and read as %d, %v", epoch, origin, back, err)
		}
	}
	if seal.Origin("log", 0) != "" || seal.Origin("log", -1) != "" {
		t.Error("an epoch below 1 has an origin")
	}
	for _, origin := range []string{
		"", "other", "log2", "log/epoch/", "log/epoch/1", "log/epoch/0", "log/epoch/02", "log/epoch/-2", "log/epoch/+2",
		"log/epoch/2 ", "log/epoch/2/epoch/3", "log/epoch/9223372036854775808", "log\n",
	} {
		if _, err := seal.ParseOrigin(origin, "log"); !errors.Is(err, seal.ErrOrigin) {
			t.Errorf("origin %q: %v", origin, err)
		}
	}
	if _, err := seal.ParseOrigin("a b", "a b"); !errors.Is(err, seal.ErrName) {
		t.Errorf("a wrong name: %v", err)
	}
}

func TestCheckpointText(t *testing.T) {
	t.Parallel()
	c := seal.Checkpoint{Origin: logName, Size: 20852163, Root: sha256.Sum256([]byte("root"))}
	const want = "audit.example.com/plant-7\n20852163\nSBNJTRN+FjG7u6oYuuCeq7FMeyz1cE+XqYjQT8Wq9Y0=\n"
	root := c.Root.String()
	if c.Text() != strings.Replace(want, "SBNJTRN+FjG7u6oYuuCeq7FMeyz1cE+XqYjQT8Wq9Y0=", root, 1) {
		t.Errorf("text is %q", c.Text())
	}
	for _, text := range []string{c.Text(), c.Text() + "extension\n", c.Text() + "one\ntwo\n"} {
		if got, err := seal.ParseCheckpointText(text); err != nil || got != c {
			t.Errorf("%q is read as %v, %v", text, got, err)
		}
	}
	// Those of other logs may have spaces in their origins.
	if got, err := seal.ParseCheckpointText("Other Log + 1\n0\n" + root + "\n"); err != nil || got.Origin != "Other Log + 1" {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{
		"", "\n", "\n\n\n", "log", "log\n1\n", "log\n1\n" + root, "log\n1\n" + root + "\n\n", "log\n1\n" + root + "\n\nx\n",
		"\n1\n" + root + "\n", "log\n01\n" + root + "\n", "log\n+1\n" + root + "\n", "log\n-1\n" + root + "\n", "log\n1 \n" + root + "\n",
		"log\n1152921504606846977\n" + root + "\n", "log\n99999999999999999999\n" + root + "\n", "log\n\n" + root + "\n",
		"log\n1\n" + root[:43] + "\n", "log\n1\n" + root + "=\n", "log\n1\n" + root[:42] + "1=\n", "log\n1\n" + root[:20] + "\r" + root[20:] + "\n",
		"log\n1\n" + strings.ReplaceAll(root, "+", "-") + "x\n", "l\rog\n1\n" + root + "\n", "l\xffg\n1\n" + root + "\n",
		"log\r\n1\r\n" + root + "\r\n", "log\n1\n" + root + "\n" + strings.Repeat("x\n", 1<<16),
	} {
		if got, err := seal.ParseCheckpointText(text); !errors.Is(err, seal.ErrMalformed) || got != (seal.Checkpoint{}) {
			t.Errorf("%q is read as %v, %v", text, got, err)
		}
	}
}

func TestSignAndOpen(t *testing.T) {
	t.Parallel()
	signer, verifier, _ := newKey(t, logName, 1)
	rotated, newVerifier, _ := newKey(t, logName, 2)
	stranger, strangerKey, _ := newKey(t, "witness.example.com", 3)
	for _, origin := range []string{logName, seal.Origin(logName, 2)} {
		c := seal.Checkpoint{Origin: origin, Size: 7, Root: sha256.Sum256([]byte("root"))}
		signed, err := seal.SignCheckpoint(c, signer, stranger)
		if err != nil {
			t.Fatal(err)
		}
		for _, known := range [][]note.Verifier{{verifier}, {newVerifier, verifier}, {verifier, strangerKey}} {
			if got, err := seal.OpenCheckpoint(signed, origin, known...); err != nil || got != c {
				t.Errorf("opened %v, %v", got, err)
			}
		}
		twice, err := seal.SignCheckpoint(c, signer, rotated)
		if err != nil {
			t.Fatal(err)
		}
		for _, known := range []note.Verifier{verifier, newVerifier} {
			if _, err := seal.OpenCheckpoint(twice, origin, known); err != nil {
				t.Error(err)
			}
		}
		forged, err := note.Sign(&note.Note{Text: c.Text()}, stranger)
		if err != nil {
			t.Fatal(err)
		}
		other, err := note.Sign(&note.Note{Text: "not a checkpoint\n"}, signer)
		if err != nil {
			t.Fatal(err)
		}
		altered := []byte(strings.Replace(string(signed), "\n7\n", "\n8\n", 1))
		for name, test := range map[string]struct {
			signed []byte
			origin string
			known  []note.Verifier
			want   error
		}{
			"another origin":     {signed, "other.example.com", []note.Verifier{verifier}, seal.ErrOrigin},
			"another epoch":      {signed, seal.Origin(logName, 3), []note.Verifier{verifier}, seal.ErrOrigin},
			"unknown key":        {signed, origin, []note.Verifier{newVerifier}, seal.ErrUnsigned},
			"a witness alone":    {forged, origin, []note.Verifier{verifier, strangerKey}, seal.ErrUnsigned},
			"altered":            {altered, origin, []note.Verifier{verifier}, seal.ErrUnsigned},
			"signed other text":  {other, origin, []note.Verifier{verifier}, seal.ErrMalformed},
			"no key":             {signed, origin, nil, seal.ErrKey},
			"a nil key":          {signed, origin, []note.Verifier{nil, verifier}, seal.ErrKey},
			"empty":              {nil, origin, []note.Verifier{verifier}, seal.ErrMalformed},
			"cut off":            {signed[:len(signed)-1], origin, []note.Verifier{verifier}, seal.ErrMalformed},
			"text alone":         {[]byte(c.Text()), origin, []note.Verifier{verifier}, seal.ErrMalformed},
			"without signatures": {[]byte(c.Text() + "\n"), origin, []note.Verifier{verifier}, seal.ErrMalformed},
			"too long":           {append(signed, make([]byte, 1<<16)...), origin, []note.Verifier{verifier}, seal.ErrMalformed},
		} {
			got, err := seal.OpenCheckpoint(test.signed, test.origin, test.known...)
			if !errors.Is(err, test.want) || got != (seal.Checkpoint{}) || strings.ContainsFunc(err.Error(), unicode.IsControl) {
				t.Errorf("%s: opened %v, %v", name, got, err)
			}
		}
	}
}

func TestWrongCheckpointIsNotSigned(t *testing.T) {
	t.Parallel()
	signer, _, _ := newKey(t, logName, 1)
	for name, test := range map[string]struct {
		origin  string
		size    int64
		signers []note.Signer
		want    error
	}{
		"no origin":           {"", 1, []note.Signer{signer}, seal.ErrName},
		"two lines":           {"a\nb", 1, []note.Signer{signer}, seal.ErrName},
		"epoch 1 spelled out": {logName + "/epoch/1", 1, []note.Signer{signer}, seal.ErrName},
		"negative size":       {logName, -1, []note.Signer{signer}, seal.ErrBounds},
		"size too large":      {logName, seal.MaxSize + 1, []note.Signer{signer}, seal.ErrBounds},
		"no key":              {logName, 1, nil, seal.ErrKey},
		"a nil key":           {logName, 1, []note.Signer{nil}, seal.ErrKey},
		"key of another log":  {"other", 1, []note.Signer{signer}, seal.ErrKey},
	} {
		if signed, err := seal.SignCheckpoint(seal.Checkpoint{Origin: test.origin, Size: test.size}, test.signers...); !errors.Is(err, test.want) || signed != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzOpenCheckpoint(f *testing.F) {
	signer, verifier, _ := newKey(f, logName, 1)
	c := seal.Checkpoint{Origin: logName, Size: 7, Root: sha256.Sum256([]byte("root"))}
	signed, err := seal.SignCheckpoint(c, signer)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signed)
	f.Add([]byte(c.Text() + "\n— x AAAAAAA=\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := seal.OpenCheckpoint(data, logName, verifier); err == nil && got != c {
			t.Fatalf("%q is opened as %v", data, got)
		}
		if got, err := seal.ParseCheckpointText(string(data)); err == nil && !strings.HasPrefix(string(data), got.Text()) {
			t.Fatalf("%q is read as %v", data, got)
		}
	})
}

func BenchmarkSignCheckpoint(b *testing.B) {
	signer, _, _ := newKey(b, logName, 1)
	for b.Loop() {
		if _, err := seal.SignCheckpoint(seal.Checkpoint{Origin: logName, Size: 7}, signer); err != nil {
			b.Fatal(err)
		}
	}
}
