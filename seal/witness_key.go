package seal

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"strings"

	"github.com/hoc-analytics/coordaudit/audit"
)

// GenerateWitnessKey makes an Ed25519 key pair for the witness with this name, in the
// encoding of [NewWitnessSigner] and [NewWitness]. The signer is secret. random is
// [rand.Reader] outside of tests. The error matches [ErrName], or is that of random.
func GenerateWitnessKey(random io.Reader, name string) (signer, verifier string, err error) {
	if err := CheckName(name); err != nil {
		return "", "", err
	}
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return "", "", fmt.Errorf("making a key for the witness %s: %w", audit.Printable(name), err)
	}
	witness := signerOf(name, seed).witness
	signer = fmt.Sprintf("%s%s+%08x+%s", privatePrefix, name, witness.hash, base64.StdEncoding.EncodeToString(typed(cosignatureKey, seed)))
	return signer, witness.String(), nil
}

// CreateWitnessKey makes a key pair for the witness with this name, and writes it as
// [CreateKey] does.
func CreateWitnessKey(path, name string) (verifier string, err error) {
	signer, verifier, err := GenerateWitnessKey(rand.Reader, name)
	if err != nil {
		return "", err
	}
	if err := createKey(path, signer, verifier); err != nil {
		return "", err
	}
	return verifier, nil
}

// LoadWitnessSigner reads the signer that [CreateWitnessKey] wrote. It refuses a file that
// others than its owner can read or write (not on Windows). The error matches [ErrKey] and
// names the file and the next step.
func LoadWitnessSigner(path string) (*WitnessSigner, error) {
	const role = "witness's signer"
	text, err := readKey(path, keyFile{role: role, next: witnessKeygen, secret: true, isPublic: isWitness})
	if err != nil {
		return nil, err
	}
	signer, err := NewWitnessSigner(text)
	switch {
	case err == nil:
		return signer, nil
	case !strings.HasPrefix(text, privatePrefix):
		return nil, keyError(role, path, "it is not a private key, give the file without .pub")
	default:
		return nil, keyError(role, path, "it is damaged or not the key of a witness, restore it or "+witnessKeygen)
	}
}

func isWitness(text string) bool {
	_, err := NewWitness(text)
	return err == nil
}

// LoadWitness takes the verifier key of a witness as a text, or the path of the file that
// has it. The error matches [ErrKey]. It never repeats a private key that was given by
// mistake.
func LoadWitness(pathOrText string) (*Witness, error) {
	const role = "witness's verifier"
	text := strings.TrimSpace(pathOrText)
	if strings.Contains(text, privatePrefix) {
		return nil, fmt.Errorf("reading the key of a witness: a private key was given, use the .pub file and keep the other secret: %w", ErrKey)
	}
	if witness, err := NewWitness(text); err == nil || isVerifier(text) {
		return witness, err
	}
	text, err := readKey(pathOrText, keyFile{role: role, next: "get it from the witness's operator"})
	if err != nil {
		return nil, err
	}
	witness, err := NewWitness(text)
	switch {
	case err == nil:
		return witness, nil
	case strings.HasPrefix(text, privatePrefix):
		return nil, keyError(role, pathOrText, "it is a private key, give the .pub file")
	default:
		return nil, keyError(role, pathOrText, "it is damaged or not the key of a witness, get it again from the witness's operator")
	}
}
