package auditwitness

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// A witness that keeps failing is asked less often, up to once a minute, and always if the
// others are no quorum.
func TestFailingWitnessIsAskedLess(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(broken.Close)
	_, public, err := seal.GenerateWitnessKey(rand.Reader, "witness.example/w1")
	if err != nil {
		t.Fatal(err)
	}
	key, err := seal.NewWitness(public)
	if err != nil {
		t.Fatal(err)
	}
	made, err := Exporter(sealer.Directory(t.TempDir()), Config{
		Witnesses: []Witness{{URL: broken.URL, Key: key}}, Logger: slog.New(slog.DiscardHandler),
		Proofs: func(context.Context, int64, int64, int64) ([]seal.Hash, error) { return nil, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	e := made.(*exporter)
	clock := time.Unix(1_700_000_000, 0)
	e.now = func() time.Time { return clock }
	size := int64(0)
	export := func() error {
		size++
		return e.Export(t.Context(), 1, size, signedCheckpoint(t, size))
	}
	next := time.Duration(0)
	for i, delay := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		if next > 0 { // a moment before its time it is not asked
			clock = clock.Add(next - time.Millisecond)
			if err := export(); err != nil || asked.Load() != int32(i) {
				t.Fatalf("%d: asked %d times: %v", i, asked.Load(), err)
			}
			clock = clock.Add(time.Millisecond)
		}
		if err := export(); err != nil || asked.Load() != int32(i+1) {
			t.Fatalf("%d: asked %d times, want %d: %v", i, asked.Load(), i+1, err)
		}
		next = delay * time.Second
	}
	before := asked.Load()
	e.config.Quorum = 1
	for range 3 {
		if err := export(); err == nil {
			t.Error("exported without the quorum")
		}
	}
	if asked.Load() != before+3 {
		t.Errorf("asked %d times, want 3", asked.Load()-before)
	}
}

func signedCheckpoint(t *testing.T, size int64) []byte {
	t.Helper()
	private, _, err := seal.GenerateKey(rand.Reader, "audit.example/trail")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := seal.SignCheckpoint(seal.Checkpoint{Origin: "audit.example/trail", Size: size}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}
