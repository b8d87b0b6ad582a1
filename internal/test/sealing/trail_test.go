package sealing_test

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/internal/pglocal"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// trail is a database of its own server, with the sealer's key and its exports.
type trail struct {
	t        *testing.T
	server   *pglocal.Server
	url      string
	pool     *pgxpool.Pool
	key      string // a file
	exports  string // a directory
	verifier note.Verifier
	patience time.Duration
}

func newTrail(t *testing.T, patience time.Duration) *trail {
	t.Helper()
	server := startServer(t)
	db := testdb.NewOn(t, server)
	r := &trail{t: t, server: server, url: db.URL, pool: db.Pool, key: filepath.Join(t.TempDir(), "seal.key"), exports: t.TempDir(), patience: patience}
	public, err := seal.CreateKey(r.key, "audit.example/soak")
	if err != nil {
		t.Fatal(err)
	}
	if r.verifier, err = note.NewVerifier(public); err != nil {
		t.Fatal(err)
	}
	return r
}

func startServer(t *testing.T) *pglocal.Server {
	t.Helper()
	server, err := pglocal.Start(t.Context(), pglocal.Config{Durable: true, Settings: map[string]string{"max_prepared_transactions": "20"}})
	if errors.Is(err, pglocal.ErrNoPrograms) {
		t.Skip("needs installed PostgreSQL programs: a server of its own")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	return server
}

// sealer returns a sealer in this process.
func (r *trail) sealer(pool *pgxpool.Pool) *sealer.Sealer {
	r.t.Helper()
	signer, err := seal.LoadSigner(r.key)
	if err != nil {
		r.t.Fatal(err)
	}
	made, err := sealer.New(pool, sealer.Config{Signer: signer, Export: sealer.Directory(r.exports), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		r.t.Fatal(err)
	}
	return made
}

// process is a sealer in a process of its own.
type process struct {
	cmd    *exec.Cmd
	output strings.Builder
	ended  chan struct{}
	killed sync.Once
}

func (r *trail) startSealer() *process {
	r.t.Helper()
	p := &process{cmd: exec.CommandContext(r.t.Context(), os.Args[0]), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), urlVariable+"="+r.url, keyVariable+"="+r.key, exportsVariable+"="+r.exports, patienceVariable+"="+r.patience.String())
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	if err := p.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // it is killed, or its output says why it ended
	}()
	return p
}

// kill kills the sealer. One that has ended by itself has refused to go on, which is a false
// alarm here.
func (p *process) kill(t *testing.T) {
	t.Helper()
	p.killed.Do(func() {
		select {
		case <-p.ended:
			t.Errorf("the sealer gave up: %s", p.output.String())
		default:
			_ = p.cmd.Process.Kill()
			<-p.ended
		}
	})
}

// verify verifies the trail against the last exported checkpoint. It reports false if that was
// not possible, as while the server is down.
func (r *trail) verify(pool *pgxpool.Pool) (result sealer.Verification, possible bool) {
	r.t.Helper()
	signed, err := sealer.Directory(r.exports).Last(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	if signed == nil {
		return result, false
	}
	result, err = sealer.Verify(r.t.Context(), pool, sealer.VerifyConfig{Checkpoint: signed, Verifier: r.verifier})
	if err != nil {
		if errors.Is(err, sealer.ErrTampered) {
			r.t.Errorf("a false alarm: %v", err)
		}
		return result, false
	}
	for _, finding := range result.Findings {
		r.t.Errorf("a false alarm: %s: %s", finding.Fault, finding.Text)
	}
	return result, true
}
