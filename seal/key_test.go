package seal_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/seal"
)

func TestKeyFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.key")
	vkey, err := seal.CreateKey(path, logName)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := seal.LoadSigner(path)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := seal.SignCheckpoint(seal.Checkpoint{Origin: logName}, signer)
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{path + ".pub", vkey, " " + vkey + "\n"} {
		verifier, err := seal.LoadVerifier(from)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := seal.OpenCheckpoint(signed, logName, verifier); err != nil {
			t.Error(err)
		}
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := seal.CreateKey(path, logName); !errors.Is(err, seal.ErrKey) || !strings.Contains(err.Error(), path) {
		t.Errorf("second key: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Error("the key was overwritten")
	}
}

func TestNoHalfKeyIsLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "log.key")
	if err := os.WriteFile(path+".pub", []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.CreateKey(path, logName); !errors.Is(err, seal.ErrKey) {
		t.Errorf("error is %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the signer was left: %v", err)
	}
	if data, err := os.ReadFile(path + ".pub"); err != nil || string(data) != "mine" {
		t.Errorf("the file that was there has %q, %v", data, err)
	}
	if _, err := seal.CreateKey(filepath.Join(dir, "missing", "key"), logName); !errors.Is(err, seal.ErrKey) {
		t.Errorf("missing directory: %v", err)
	}
	if _, err := seal.CreateKey(filepath.Join(dir, "other"), "a b"); !errors.Is(err, seal.ErrName) {
		t.Errorf("wrong name: %v", err)
	}
}

func TestWrongKeyFilesAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "log.key")
	vkey, err := seal.CreateKey(path, logName)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	skey := strings.TrimSpace(string(data))
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	other, _, err := note.GenerateKey(nil, "a/epoch/2")
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct{ path, want string }{
		"missing":         {filepath.Join(dir, "none"), "keygen"},
		"strange path":    {filepath.Join(dir, "no\nne\x1b[31m"), "keygen"},
		"directory":       {dir, "not a file"},
		"empty":           {write("empty", "", 0o600), "keygen"},
		"blank":           {write("blank", " \n", 0o600), "keygen"},
		"too large":       {write("large", strings.Repeat("x", 5<<10), 0o600), "4 KiB"},
		"public key":      {path + ".pub", "public key"},
		"damaged":         {write("damaged", skey[:len(skey)-3], 0o600), "damaged"},
		"one other digit": {write("digit", skey[:len(skey)-3]+"xyz", 0o600), "damaged"},
		"not a key":       {write("text", "hello", 0o600), "not a signer key"},
		"two keys":        {write("two", skey+"\n"+skey, 0o600), "damaged"},
		"not a log":       {write("name", other, 0o600), "not a signer key"},
	}
	if runtime.GOOS != "windows" {
		for name, mode := range map[string]os.FileMode{"group": 0o640, "others": 0o604, "writable": 0o620} {
			cases[name] = struct{ path, want string }{write(name, skey, mode), "chmod 600 " + filepath.Join(dir, name)}
		}
	}
	for name, test := range cases {
		signer, err := seal.LoadSigner(test.path)
		switch {
		case signer != nil || !errors.Is(err, seal.ErrKey):
			t.Errorf("%s: %v", name, err)
		case !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), dir):
			t.Errorf("%s: error does not say %q: %v", name, test.want, err)
		case strings.Contains(err.Error(), "PRIVATE+KEY+") || strings.ContainsFunc(err.Error(), unicode.IsControl):
			t.Errorf("%s: error says too much: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"missing": filepath.Join(dir, "none"), "directory": dir, "private file": path, "private key": skey, "private key with more": "x " + skey,
		"damaged": vkey[:len(vkey)-2], "empty": "", "not a key": write("text2", "hello", 0o600),
	} {
		verifier, err := seal.LoadVerifier(text)
		if verifier != nil || !errors.Is(err, seal.ErrKey) || strings.Contains(err.Error(), skey[30:]) {
			t.Errorf("verifier, %s: %v", name, err)
		}
	}
}
