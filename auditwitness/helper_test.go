package auditwitness_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"math/bits"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditwitness"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

const logName = "audit.example/trail"

// key is the key pair of a log.
type key struct {
	signer   note.Signer
	verifier note.Verifier
}

func newKey(tb testing.TB, name string) key {
	tb.Helper()
	private, public, err := seal.GenerateKey(rand.Reader, name)
	if err != nil {
		tb.Fatal(err)
	}
	var k key
	if k.signer, err = note.NewSigner(private); err != nil {
		tb.Fatal(err)
	}
	if k.verifier, err = note.NewVerifier(public); err != nil {
		tb.Fatal(err)
	}
	return k
}

func newWitnessKey(tb testing.TB, name string) *seal.WitnessSigner {
	tb.Helper()
	private, _, err := seal.GenerateWitnessKey(rand.Reader, name)
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := seal.NewWitnessSigner(private)
	if err != nil {
		tb.Fatal(err)
	}
	return signer
}

// leaves are a log as RFC 6962 defines it in sections 2.1 and 2.1.2. It shares no code with
// package seal.
type leaves [][32]byte

func hashOf(parts ...[]byte) [32]byte { return sha256.Sum256(bytes.Join(parts, nil)) }

// newLeaves are the first leaves of the log with a seed.
func newLeaves(seed string, count int) leaves {
	l := make(leaves, count)
	for i := range l {
		l[i] = hashOf([]byte{0}, []byte(seed+strconv.Itoa(i)))
	}
	return l
}

func split(n int) int { return 1 << (bits.Len(uint(n-1)) - 1) }

func (l leaves) root() [32]byte {
	switch len(l) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return l[0]
	}
	k := split(len(l))
	left, right := l[:k].root(), l[k:].root()
	return hashOf([]byte{1}, left[:], right[:])
}

// proof is PROOF(m, D[n]).
func (l leaves) proof(m int) []seal.Hash {
	if m == 0 || m == len(l) {
		return nil
	}
	return l.subproof(m, true)
}

func (l leaves) subproof(m int, whole bool) []seal.Hash {
	if m == len(l) {
		if whole {
			return nil
		}
		return []seal.Hash{l.root()}
	}
	k := split(len(l))
	if m <= k {
		return append(l[:k].subproof(m, whole), l[k:].root())
	}
	return append(l[k:].subproof(m-k, false), l[:k].root())
}

func (l leaves) signed(tb testing.TB, k key, origin string) []byte {
	tb.Helper()
	signed, err := seal.SignCheckpoint(seal.Checkpoint{Origin: origin, Size: int64(len(l)), Root: l.root()}, k.signer)
	if err != nil {
		tb.Fatal(err)
	}
	return signed
}

// prover proves from leaves, as the sealer does from tiles.
func (l leaves) prover(_ context.Context, from, to int64) ([]seal.Hash, error) {
	if to > int64(len(l)) {
		return nil, sealer.ErrNotSealed
	}
	return l[:to].proof(int(from)), nil
}

// requestText is the body of add-checkpoint as the specification has it.
func requestText(old int, proof []seal.Hash, signed []byte) string {
	lines := []string{"old " + strconv.Itoa(old)}
	for _, h := range proof {
		lines = append(lines, base64.StdEncoding.EncodeToString(h[:]))
	}
	return strings.Join(lines, "\n") + "\n\n" + string(signed)
}

// witness is a server on the loopback interface.
type witness struct {
	signer  *seal.WitnessSigner
	dir     string
	handler *auditwitness.Server
	http    *httptest.Server
}

func newWitness(tb testing.TB, dir string, signer *seal.WitnessSigner, logs ...note.Verifier) *witness {
	tb.Helper()
	handler, err := auditwitness.NewServer(auditwitness.ServerConfig{Signer: signer, Logs: logs, Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	w := &witness{signer: signer, dir: dir, handler: handler, http: httptest.NewServer(handler)}
	tb.Cleanup(func() { w.stop(tb) })
	return w
}

// stop ends the witness. Its state stays.
func (w *witness) stop(tb testing.TB) {
	tb.Helper()
	if w.http == nil {
		return
	}
	w.http.Close()
	w.http = nil
	if err := w.handler.Close(); err != nil {
		tb.Error(err)
	}
}

func (w *witness) known() auditwitness.Witness {
	return auditwitness.Witness{URL: w.http.URL, Key: w.signer.Witness()}
}

func (w *witness) client(tb testing.TB) *auditwitness.Client {
	tb.Helper()
	return clientOf(tb, w.known())
}

func clientOf(tb testing.TB, known auditwitness.Witness) *auditwitness.Client {
	tb.Helper()
	client, err := auditwitness.NewClient(known)
	if err != nil {
		tb.Fatal(err)
	}
	return client
}

// reply is what a witness answered.
type reply struct {
	status     int
	kind, body string
}

func post(tb testing.TB, url, body string) reply {
	tb.Helper()
	got, err := http.Post(url+"/add-checkpoint", "text/plain", strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	return replyOf(tb, got)
}

func replyOf(tb testing.TB, got *http.Response) reply {
	tb.Helper()
	body, err := io.ReadAll(got.Body)
	if err = errors.Join(err, got.Body.Close()); err != nil {
		tb.Fatal(err)
	}
	return reply{status: got.StatusCode, kind: got.Header.Get("Content-Type"), body: string(body)}
}

// trail is a sealed trail on a real PostgreSQL.
type trail struct {
	pool *pgxpool.Pool
	key  key
	dir  string
}

func newTrail(tb testing.TB) *trail {
	tb.Helper()
	return &trail{pool: testdb.New(tb).Pool, key: newKey(tb, logName), dir: tb.TempDir()}
}

func (r *trail) persist(tb testing.TB, count int) {
	tb.Helper()
	config := fixture.Quiet()
	config.Timeout = time.Minute
	recs := make([]audit.Record, count)
	for i := range recs {
		recs[i] = fixture.NewRecord()
	}
	if _, err := coordaudit.New(r.pool, config).PersistMany(tb.Context(), recs); err != nil && count > 0 {
		tb.Fatal(err)
	}
}

func (r *trail) exporter(tb testing.TB, config auditwitness.Config) sealer.Exporter {
	tb.Helper()
	if config.Proofs == nil {
		config.Proofs = auditwitness.Database(r.pool, "")
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	config.Timeout = time.Minute
	export, err := auditwitness.Exporter(sealer.Directory(r.dir), config)
	if err != nil {
		tb.Fatal(err)
	}
	return export
}

func (r *trail) sealer(tb testing.TB, export sealer.Exporter) *sealer.Sealer {
	tb.Helper()
	made, err := sealer.New(r.pool, sealer.Config{
		Signer: r.key.signer, Export: export, Interval: 10 * time.Millisecond, Patience: 200 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return made
}

// seal persists records and seals them.
func (r *trail) seal(tb testing.TB, export sealer.Exporter, count int) error {
	tb.Helper()
	r.persist(tb, count)
	_, err := r.sealer(tb, export).Once(tb.Context())
	return err
}

func (r *trail) mustSeal(tb testing.TB, export sealer.Exporter, count int) {
	tb.Helper()
	if err := r.seal(tb, export, count); err != nil {
		tb.Fatal(err)
	}
}

// exported returns the last exported checkpoint.
func (r *trail) exported(tb testing.TB) []byte {
	tb.Helper()
	signed, err := sealer.Directory(r.dir).Last(tb.Context())
	if err != nil || signed == nil {
		tb.Fatalf("no checkpoint was exported: %v", err)
	}
	return signed
}

// superuser runs a statement as one who goes past the guards.
func (r *trail) superuser(tb testing.TB, sql string) {
	tb.Helper()
	for _, table := range []string{"records", "seal_tiles", "seal_checkpoints", "seal_events"} {
		if _, err := r.pool.Exec(tb.Context(), "ALTER TABLE coordination_audit_"+table+" DISABLE TRIGGER USER"); err != nil {
			tb.Fatal(err)
		}
	}
	if _, err := r.pool.Exec(tb.Context(), sql); err != nil {
		tb.Fatal(err)
	}
}

// restore brings the database back to an older backup: its first records, and no log.
func (r *trail) restore(tb testing.TB, records int) {
	tb.Helper()
	n := strconv.Itoa(records)
	r.superuser(tb, "DELETE FROM coordination_audit_records WHERE seq > "+n)
	r.superuser(tb, "DELETE FROM coordination_audit_seal_checkpoints")
	r.superuser(tb, "DELETE FROM coordination_audit_seal_tiles")
	r.superuser(tb, "SELECT setval('coordination_audit_records_seq_seq', "+n+")")
	r.dir = tb.TempDir() // the exported copies are gone, too
}

func logsOf(k key) []note.Verifier { return []note.Verifier{k.verifier} }
