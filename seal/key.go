package seal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/durable"
	"github.com/hoc-analytics/coordaudit/internal/ownfile"
)

const (
	privatePrefix = "PRIVATE+KEY+"
	keygen        = "make a key with coordaudit seal keygen"
	witnessKeygen = "make a key with auditwitness keygen"
)

// GenerateKey makes an Ed25519 key pair for the log with this name, in the encoding of
// [note.NewSigner] and [note.NewVerifier]. The signer is secret. random is [rand.Reader]
// outside of tests.
func GenerateKey(random io.Reader, name string) (signer, verifier string, err error) {
	if err := CheckName(name); err != nil {
		return "", "", err
	}
	signer, verifier, err = note.GenerateKey(random, name)
	if err != nil {
		return "", "", fmt.Errorf("making a key for %s: %w", audit.Printable(name), err)
	}
	return signer, verifier, nil
}

// CreateKey makes a key pair for the log with this name. It writes the signer to the file
// path, which only its owner can read, and the verifier to path + ".pub", and returns the
// verifier. Both are on disk when it returns. It never overwrites a file, and after an
// error it leaves neither.
func CreateKey(path, name string) (verifier string, err error) {
	signer, verifier, err := GenerateKey(rand.Reader, name)
	if err != nil {
		return "", err
	}
	if err := createKey(path, signer, verifier); err != nil {
		return "", err
	}
	return verifier, nil
}

func createKey(path, signer, verifier string) error {
	if err := createFile(path, signer+"\n", 0o600); err != nil {
		return err
	}
	if err := createFile(path+".pub", verifier+"\n", 0o644); err != nil {
		return errors.Join(err, removeFile(path))
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return errors.Join(err, removeFile(path), removeFile(path+".pub"))
	}
	return nil
}

// LoadSigner reads the signer that [CreateKey] wrote. It refuses a file that others than
// its owner can read or write (not on Windows). The error matches [ErrKey] and names the
// file and the next step.
func LoadSigner(path string) (note.Signer, error) {
	text, err := readKey(path, keyFile{role: "signer", next: keygen, secret: true, isPublic: isVerifier})
	if err != nil {
		return nil, err
	}
	signer, err := note.NewSigner(text)
	if err == nil {
		err = CheckName(signer.Name())
	}
	if err != nil {
		return nil, keyError("signer", path, "it is damaged or not a signer key, restore it or "+keygen)
	}
	return signer, nil
}

// LoadVerifier takes a verifier key as a text, or the path of the file that has it. The
// error matches [ErrKey]. It never repeats a private key that was given by mistake.
func LoadVerifier(pathOrText string) (note.Verifier, error) {
	if verifier, err := note.NewVerifier(strings.TrimSpace(pathOrText)); err == nil {
		return verifier, nil
	}
	if strings.Contains(pathOrText, privatePrefix) {
		return nil, fmt.Errorf("reading a verifier key: a private key was given, use the .pub file and keep the other secret: %w", ErrKey)
	}
	text, err := readKey(pathOrText, keyFile{role: "verifier", next: "get the .pub file from whoever runs the log: coordaudit seal keygen wrote it"})
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(text)
	switch {
	case err == nil:
		return verifier, nil
	case strings.HasPrefix(text, privatePrefix):
		return nil, keyError("verifier", pathOrText, "it is a private key, give the .pub file")
	default:
		return nil, keyError("verifier", pathOrText, "it is damaged or not a verifier key, get it again from the log's operator")
	}
}

// keyFile is what a key file should hold.
type keyFile struct {
	role     string
	next     string // how to get one
	secret   bool
	isPublic func(text string) bool // of a secret one: tells the other key of the pair
}

// readKey returns the text of a key file without the spaces around it.
func readKey(path string, as keyFile) (string, error) {
	if as.secret { // others may read a public key, and making that one secret would not help
		if text, err := ownfile.Read(path, ownfile.Kind{}); err == nil && as.isPublic(text) {
			return "", keyError(as.role, path, "it is a public key, give the file without .pub")
		}
	}
	text, err := ownfile.Read(path, ownfile.Kind{Noun: "key", Not: "is not a key", Else: as.next, Secret: as.secret})
	switch {
	case err != nil:
		return "", keyError(as.role, path, err.Error())
	case text == "":
		return "", keyError(as.role, path, "it is empty, restore it or "+as.next)
	}
	return text, nil
}

func isVerifier(text string) bool {
	_, err := note.NewVerifier(text)
	return err == nil
}

func keyError(role, path, cause string) error {
	return fmt.Errorf("reading the %s key %s: %s: %w", role, audit.Printable(path), cause, ErrKey)
}

// createFile leaves no file after an error, except one that was there.
func createFile(path, text string, mode fs.FileMode) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		next := "make the directory, or choose another path"
		if errors.Is(err, fs.ErrExist) {
			next = "keep that key, or choose another path"
		}
		return fmt.Errorf("writing the key file %s: %s, %s: %w", audit.Printable(path), ownfile.Cause(err), next, ErrKey)
	}
	_, err = file.WriteString(text)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err != nil {
		return errors.Join(fmt.Errorf("writing the key file %s: %s, choose another path: %w", audit.Printable(path), ownfile.Cause(err), ErrKey), removeFile(path))
	}
	return nil
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing the key file %s: %s, remove it: %w", audit.Printable(path), ownfile.Cause(err), ErrKey)
	}
	return nil
}

// syncDir makes new names in a directory durable.
func syncDir(path string) error {
	if err := (durable.OS{}).SyncDir(path); err != nil {
		return fmt.Errorf("writing the key's directory %s: %s, choose another path: %w", audit.Printable(path), ownfile.Cause(err), ErrKey)
	}
	return nil
}
