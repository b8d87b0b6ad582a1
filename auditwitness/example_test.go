package auditwitness_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"log"
	"log/slog"
	"net/http/httptest"
	"os"

	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/auditwitness"
	"github.com/hoc-analytics/coordaudit/seal"
)

// A witness cosigns a checkpoint, which then verifies offline.
func Example() {
	private, public, err := seal.GenerateKey(rand.Reader, "audit.example/plant-7")
	if err != nil {
		log.Fatal(err)
	}
	logSigner, err := note.NewSigner(private)
	if err != nil {
		log.Fatal(err)
	}
	logKey, err := seal.LoadVerifier(public)
	if err != nil {
		log.Fatal(err)
	}
	url, witness, stop, err := startWitness(logKey)
	if err != nil {
		log.Fatal(err)
	}
	defer stop()

	signed, err := seal.SignCheckpoint(seal.Checkpoint{Origin: "audit.example/plant-7", Size: 1, Root: sha256.Sum256([]byte("\x00leaf"))}, logSigner)
	if err != nil {
		log.Fatal(err)
	}
	client, err := auditwitness.NewClient(auditwitness.Witness{URL: url, Key: witness})
	if err != nil {
		log.Fatal(err)
	}
	cosignature, err := client.Cosign(context.Background(), signed, func(context.Context, int64, int64) ([]seal.Hash, error) {
		return nil, nil // sealer.ProveConsistency, for a log in a database
	})
	if err != nil {
		log.Fatal(err)
	}

	checkpoint, cosignatures, err := seal.OpenCosigned(append(signed, cosignature.Line...), "audit.example/plant-7", logKey, 1, witness)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cosignatures[0].Witness.Name(), "has seen", checkpoint.Origin, "at size", checkpoint.Size)
	// Output: witness.example/w1 has seen audit.example/plant-7 at size 1
}

// startWitness is what auditwitness serve does.
func startWitness(logKey note.Verifier) (url string, key *seal.Witness, stop func(), err error) {
	private, _, err := seal.GenerateWitnessKey(rand.Reader, "witness.example/w1")
	if err != nil {
		return "", nil, nil, err
	}
	signer, err := seal.NewWitnessSigner(private)
	if err != nil {
		return "", nil, nil, err
	}
	dir, err := os.MkdirTemp("", "witness")
	if err != nil {
		return "", nil, nil, err
	}
	server, err := auditwitness.NewServer(auditwitness.ServerConfig{
		Signer: signer, Logs: []note.Verifier{logKey}, Dir: dir, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return "", nil, nil, err
	}
	served := httptest.NewServer(server)
	return served.URL, signer.Witness(), func() {
		served.Close()
		_ = server.Close()
		_ = os.RemoveAll(dir)
	}, nil
}
