package auditwitness_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hoc-analytics/coordaudit/auditwitness"
	"github.com/hoc-analytics/coordaudit/seal"
)

// A log that grows is cosigned at each size, from each size, by a proof made from RFC 6962
// alone. The answer is a signature line that verifies.
func TestGrowingLogIsCosigned(t *testing.T) {
	t.Parallel()
	k := newKey(t, logName)
	w := newWitness(t, t.TempDir(), newWitnessKey(t, "witness.example/w1"), k.verifier)
	l := newLeaves("a", 300)
	old := 0
	for _, size := range []int{1, 2, 3, 3, 4, 7, 8, 9, 255, 256, 257, 300, 300} {
		signed := l[:size].signed(t, k, logName)
		got := post(t, w.http.URL, requestText(old, l[:size].proof(old), signed))
		if got.status != http.StatusOK {
			t.Fatalf("from %d to %d: %+v", old, size, got)
		}
		if _, found, err := seal.OpenCosigned(append(signed, got.body...), logName, k.verifier, 1, w.signer.Witness()); err != nil || found[0].Line != got.body {
			t.Errorf("size %d: %v, %v", size, found, err)
		}
		old = size
	}
}

// Each request that is not in order has the status of the specification, and changes nothing.
func TestRefusals(t *testing.T) {
	t.Parallel()
	k, other, stranger := newKey(t, logName), newKey(t, logName), newKey(t, "stranger.example")
	w := newWitness(t, t.TempDir(), newWitnessKey(t, "witness.example/w1"), k.verifier)
	l, forked := newLeaves("a", 20), newLeaves("b", 20)
	signed := l[:10].signed(t, k, logName)
	if got := post(t, w.http.URL, requestText(0, nil, signed)); got.status != http.StatusOK {
		t.Fatalf("%+v", got)
	}
	next := l.signed(t, k, logName)
	proof := l.proof(10)
	wrongSignature := strings.Replace(string(next), "\n20\n", "\n21\n", 1)
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"Empty":              {"", http.StatusBadRequest},
		"NoOld":              {"\n" + string(next), http.StatusBadRequest},
		"NoCheckpoint":       {"old 10\n\n", http.StatusBadRequest},
		"NoEmptyLine":        {"old 10\n" + string(next[:20]), http.StatusBadRequest},
		"LeadingZero":        {strings.Replace(requestText(10, proof, next), "old 10", "old 010", 1), http.StatusBadRequest},
		"Negative":           {requestText(-1, proof, next), http.StatusBadRequest},
		"Plus":               {strings.Replace(requestText(10, proof, next), "old 10", "old +10", 1), http.StatusBadRequest},
		"HugeOld":            {strings.Replace(requestText(10, proof, next), "old 10", "old 9223372036854775808", 1), http.StatusBadRequest},
		"CarriageReturn":     {strings.Replace(requestText(10, proof, next), "old 10\n", "old 10\r\n", 1), http.StatusBadRequest},
		"ShortHash":          {strings.Replace(requestText(10, proof, next), proof[0].String(), "AAAA", 1), http.StatusBadRequest},
		"SecondSpelling":     {strings.Replace(requestText(10, proof, next), proof[0].String(), strings.TrimSuffix(proof[0].String(), "="), 1), http.StatusBadRequest},
		"ManyHashes":         {requestText(10, make([]seal.Hash, 64), next), http.StatusBadRequest},
		"NoNote":             {requestText(10, proof, []byte("hello\n")), http.StatusBadRequest},
		"NoSignature":        {requestText(10, proof, []byte(strings.SplitAfter(string(next), "\n\n")[0])), http.StatusBadRequest},
		"OldAboveSize":       {requestText(21, nil, next), http.StatusBadRequest},
		"Oversize":           {requestText(10, proof, next) + strings.Repeat("x", 80<<10), http.StatusRequestEntityTooLarge},
		"UnknownLog":         {requestText(0, nil, l.signed(t, stranger, "stranger.example")), http.StatusNotFound},
		"OtherKeySameName":   {requestText(10, proof, l.signed(t, other, logName)), http.StatusForbidden},
		"WrongSignature":     {requestText(10, proof, []byte(wrongSignature)), http.StatusForbidden},
		"OldTooSmall":        {requestText(9, l.proof(9), next), http.StatusConflict},
		"OldTooLarge":        {requestText(11, l.proof(11), next), http.StatusConflict},
		"OldZero":            {requestText(0, nil, next), http.StatusConflict},
		"Smaller":            {requestText(5, nil, l[:5].signed(t, k, logName)), http.StatusConflict},
		"NoProof":            {requestText(10, nil, next), http.StatusUnprocessableEntity},
		"ProofOfOtherSize":   {requestText(10, l.proof(11), next), http.StatusUnprocessableEntity},
		"CutProof":           {requestText(10, proof[:len(proof)-1], next), http.StatusUnprocessableEntity},
		"LongProof":          {requestText(10, append(l.proof(10), seal.Hash{}), next), http.StatusUnprocessableEntity},
		"Rewritten":          {requestText(10, forked.proof(10), forked.signed(t, k, logName)), http.StatusUnprocessableEntity},
		"OtherTreeSameSize":  {requestText(10, nil, forked[:10].signed(t, k, logName)), http.StatusUnprocessableEntity},
		"ProofForSameSize":   {requestText(10, proof[:1], signed), http.StatusUnprocessableEntity},
		"EpochProofFromZero": {requestText(0, proof, l.signed(t, k, seal.Origin(logName, 2))), http.StatusUnprocessableEntity},
	} {
		got := post(t, w.http.URL, c.body)
		if got.status != c.status || strings.Contains(got.body, "— ") {
			t.Errorf("%s: %+v, want status %d", name, got, c.status)
		}
		if c.status == http.StatusConflict && (got.body != "10\n" || got.kind != "text/x.tlog.size") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := post(t, w.http.URL, requestText(10, proof, next)); got.status != http.StatusOK {
		t.Errorf("after all that: %+v", got)
	}
}

// The empty log has one root, and each log begins with it.
func TestEmptyLog(t *testing.T) {
	t.Parallel()
	k := newKey(t, logName)
	w := newWitness(t, t.TempDir(), newWitnessKey(t, "witness.example/w1"), k.verifier)
	wrong, err := seal.SignCheckpoint(seal.Checkpoint{Origin: logName, Size: 0, Root: seal.Hash{1}}, k.signer)
	if err != nil {
		t.Fatal(err)
	}
	if got := post(t, w.http.URL, requestText(0, nil, wrong)); got.status != http.StatusUnprocessableEntity {
		t.Errorf("another root: %+v", got)
	}
	l := newLeaves("a", 3)
	for _, size := range []int{0, 0, 3} {
		if got := post(t, w.http.URL, requestText(0, nil, l[:size].signed(t, k, logName))); got.status != http.StatusOK {
			t.Errorf("size %d: %+v", size, got)
		}
	}
}

// Each epoch is a log of its own. Signatures of unknown keys are ignored, and not kept.
func TestEpochsAreLogsOfTheirOwn(t *testing.T) {
	t.Parallel()
	k := newKey(t, logName)
	w := newWitness(t, t.TempDir(), newWitnessKey(t, "witness.example/w1"), newKey(t, "other.example").verifier, k.verifier)
	l, again := newLeaves("a", 10), newLeaves("b", 4)
	junk := "— unknown.example AAAAAAAA\n"
	if got := post(t, w.http.URL, requestText(0, nil, append(l.signed(t, k, logName), junk...))); got.status != http.StatusOK {
		t.Fatalf("%+v", got)
	}
	second := seal.Origin(logName, 2)
	if got := post(t, w.http.URL, requestText(0, nil, again.signed(t, k, second))); got.status != http.StatusOK {
		t.Fatalf("%+v", got)
	}
	for origin, size := range map[string]int64{logName: 10, second: 4} {
		sum := sha256.Sum256([]byte(origin))
		got, err := http.Get(w.http.URL + "/" + hex.EncodeToString(sum[:]) + "/checkpoint")
		if err != nil {
			t.Fatal(err)
		}
		last := replyOf(t, got)
		c, found, err := seal.OpenCosigned([]byte(last.body), origin, k.verifier, 1, w.signer.Witness())
		if err != nil || c.Size != size || len(found) != 1 || strings.Contains(last.body, "unknown.example") {
			t.Errorf("%s: %v, %v, %v: %q", origin, c, found, err, last.body)
		}
	}
	for _, path := range []string{"/" + strings.Repeat("0", 64) + "/checkpoint", "/lock/checkpoint", "/..%2f..%2fetc/checkpoint"} {
		got, err := http.Get(w.http.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		if last := replyOf(t, got); last.status != http.StatusNotFound {
			t.Errorf("%s: %+v", path, last)
		}
	}
}

// Of many checkpoints that arrive at once, those that are cosigned are one log: each size
// has one root.
func TestConcurrentRequestsCosignOneLog(t *testing.T) {
	t.Parallel()
	k := newKey(t, logName)
	w := newWitness(t, t.TempDir(), newWitnessKey(t, "witness.example/w1"), k.verifier)
	var mu sync.Mutex
	cosigned := map[int64]map[seal.Hash]bool{}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			l := newLeaves(fmt.Sprintf("tree %d", i), 60)
			client := w.client(t)
			for size := 1; size <= 60; size++ {
				_, err := client.Cosign(t.Context(), l[:size].signed(t, k, logName), l.prover)
				if err == nil {
					mu.Lock()
					if cosigned[int64(size)] == nil {
						cosigned[int64(size)] = map[seal.Hash]bool{}
					}
					cosigned[int64(size)][l[:size].root()] = true
					mu.Unlock()
				} else if !errors.Is(err, auditwitness.ErrRewritten) && !errors.Is(err, auditwitness.ErrStale) && !errors.Is(err, auditwitness.ErrUnavailable) {
					t.Errorf("tree %d, size %d: %v", i, size, err)
				}
			}
		})
	}
	all.Wait()
	if len(cosigned) == 0 {
		t.Error("nothing was cosigned")
	}
	for size, roots := range cosigned {
		if len(roots) > 1 {
			t.Errorf("%d trees of size %d were cosigned", len(roots), size)
		}
	}
}

// What was cosigned outlives the process. A second one does not serve the same state.
func TestStateOutlivesServer(t *testing.T) {
	t.Parallel()
	k := newKey(t, logName)
	dir, signer := filepath.Join(t.TempDir(), "a", "state"), newWitnessKey(t, "witness.example/w1")
	l, forked := newLeaves("a", 9), newLeaves("b", 9)
	first := newWitness(t, dir, signer, k.verifier)
	if got := post(t, first.http.URL, requestText(0, nil, l.signed(t, k, logName))); got.status != http.StatusOK {
		t.Fatalf("%+v", got)
	}
	config := auditwitness.ServerConfig{Signer: signer, Logs: logsOf(k), Dir: dir}
	if _, err := auditwitness.NewServer(config); !errors.Is(err, auditwitness.ErrInUse) {
		t.Errorf("a second server: %v", err)
	}
	first.stop(t)
	left := filepath.Join(dir, "left.unfinished")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	second := newWitness(t, dir, signer, k.verifier)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a crash left is still there: %v", err)
	}
	for _, old := range []int{0, 9} {
		if got := post(t, second.http.URL, requestText(old, nil, forked.signed(t, k, logName))); got.status == http.StatusOK {
			t.Errorf("another tree of the same size is cosigned: %+v", got)
		}
	}
	if got := post(t, second.http.URL, requestText(9, nil, l.signed(t, k, logName))); got.status != http.StatusOK {
		t.Errorf("the same one again: %+v", got)
	}
}

// A damaged state is named, with the way to repair it, and nothing is cosigned until then:
// neither by a server that starts, nor by one that runs.
func TestDamagedStateIsRefused(t *testing.T) {
	t.Parallel()
	k, other := newKey(t, logName), newKey(t, logName)
	l := newLeaves("a", 12)
	for name, damage := range map[string]func(good string) string{
		"Empty":      func(string) string { return "" },
		"Cut":        func(good string) string { return good[:len(good)/2] },
		"Size":       func(good string) string { return strings.Replace(good, "\n10\n", "\n11\n", 1) },
		"OtherKey":   func(string) string { return string(l[:10].signed(t, other, logName)) },
		"OtherLog":   func(good string) string { return strings.ReplaceAll(good, logName, "audit.example/other") },
		"Older":      func(string) string { return string(l[:9].signed(t, k, logName)) },
		"Gone":       nil,
		"Unreadable": func(string) string { return strings.Repeat("x", 100<<10) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, signer := t.TempDir(), newWitnessKey(t, "witness.example/w1")
			w := newWitness(t, dir, signer, k.verifier)
			cosigned := l[:10].signed(t, k, logName)
			got := post(t, w.http.URL, requestText(0, nil, cosigned))
			if got.status != http.StatusOK {
				t.Fatalf("%+v", got)
			}
			sum := sha256.Sum256([]byte(logName))
			path := filepath.Join(dir, hex.EncodeToString(sum[:])+".checkpoint")
			good, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if damage == nil {
				err = os.Remove(path)
			} else {
				err = os.WriteFile(path, []byte(damage(string(good))), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, old := range []int{0, 9, 10} {
				if got := post(t, w.http.URL, requestText(old, l.proof(old), l.signed(t, k, logName))); got.status != http.StatusInternalServerError || strings.Contains(got.body, "— ") {
					t.Errorf("a running server, from %d: %+v", old, got)
				}
			}
			w.stop(t)
			config := auditwitness.ServerConfig{Signer: signer, Logs: logsOf(k), Dir: dir, Logger: slog.New(slog.DiscardHandler)}
			if name != "Gone" && name != "Older" { // only the process that cosigned knows that it was more
				if _, err := auditwitness.NewServer(config); !errors.Is(err, auditwitness.ErrState) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "exported checkpoint") {
					t.Errorf("a server that starts: %v", err)
				}
			}
			// The exported checkpoint with this witness's cosignature repairs it.
			if err := os.WriteFile(path, append(cosigned, got.body...), 0o600); err != nil {
				t.Fatal(err)
			}
			again := newWitness(t, dir, signer, k.verifier)
			if got := post(t, again.http.URL, requestText(10, l.proof(10), l.signed(t, k, logName))); got.status != http.StatusOK {
				t.Errorf("repaired: %+v", got)
			}
		})
	}
}

// If the state cannot be written, nothing is cosigned.
func TestNothingIsCosignedWithoutState(t *testing.T) {
	t.Parallel()
	k := newKey(t, logName)
	dir := filepath.Join(t.TempDir(), "state")
	w := newWitness(t, dir, newWitnessKey(t, "witness.example/w1"), k.verifier)
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	l := newLeaves("a", 3)
	if got := post(t, w.http.URL, requestText(0, nil, l.signed(t, k, logName))); got.status != http.StatusInternalServerError {
		t.Errorf("%+v", got)
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	if got := post(t, w.http.URL, requestText(0, nil, l.signed(t, k, logName))); got.status != http.StatusOK {
		t.Errorf("%+v", got)
	}
}

// A server needs a signer, a log whose name is one, and a directory.
func TestServerConfig(t *testing.T) {
	t.Parallel()
	k, signer, dir := newKey(t, logName), newWitnessKey(t, "witness.example/w1"), t.TempDir()
	for name, config := range map[string]auditwitness.ServerConfig{
		"NoSigner": {Logs: logsOf(k), Dir: dir},
		"NoLogs":   {Signer: signer, Dir: dir},
		"NoDir":    {Signer: signer, Logs: logsOf(k)},
		"NilLog":   {Signer: signer, Logs: append(logsOf(k), nil), Dir: dir},
	} {
		if s, err := auditwitness.NewServer(config); !errors.Is(err, auditwitness.ErrConfig) || s != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
