//go:build unix

package command_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/auditwitness"
	"github.com/hoc-analytics/coordaudit/auditwitness/internal/command"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/seal"
)

const (
	processVariable = "AUDITWITNESS_TEST_IS_PROGRAM"
	logName         = "audit.example/trail"
)

// TestMainProgram is not a test. In the processes that other tests start, it is the
// program.
func TestMainProgram(t *testing.T) {
	t.Parallel()
	if os.Getenv(processVariable) != "" {
		os.Exit(cli.Main("auditwitness", command.Run, flag.Args()))
	}
}

// setUp is a log's key and a witness's key file.
type setUp struct {
	signer     note.Signer
	public     string
	key, state string
	witness    *seal.Witness
}

func newSetUp(t *testing.T) *setUp {
	t.Helper()
	dir := t.TempDir()
	s := &setUp{key: filepath.Join(dir, "key"), state: filepath.Join(dir, "state")}
	private, public, err := seal.GenerateKey(rand.Reader, logName)
	if err != nil {
		t.Fatal(err)
	}
	s.public = public
	if s.signer, err = note.NewSigner(private); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := run(t, "keygen", s.key, "--name", "witness.example/w1")
	if code != cli.ExitDone {
		t.Fatalf("keygen: %d %s", code, stderr)
	}
	if s.witness, err = seal.LoadWitness(stdout); err != nil {
		t.Fatal(err)
	}
	return s
}

// run runs the program in this process.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	p := &cli.Program{Name: "auditwitness", Env: func(string) string { return "" }, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs}
	code = command.Run(t.Context(), p, args)
	return code, out.String(), errs.String()
}

// process is the program in a process of its own.
type process struct {
	*exec.Cmd
	url string
}

func (s *setUp) start(t *testing.T) *process {
	t.Helper()
	p := &process{Cmd: exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMainProgram$", "--",
		"serve", "--listen", "127.0.0.1:0", "--key", s.key, "--state", s.state, "--log", s.public)}
	p.Env = append(os.Environ(), processVariable+"=1")
	var stderr strings.Builder
	p.Stderr = &stderr
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	_, url, found := strings.Cut(strings.TrimSpace(line), " listens on ")
	if err != nil || !found {
		_ = p.Process.Kill()
		_ = p.Wait()
		t.Fatalf("the program says %q, %v: %s", line, err, stderr.String())
	}
	p.url = url
	return p
}

func (p *process) client(t *testing.T, key *seal.Witness) *auditwitness.Client {
	t.Helper()
	client, err := auditwitness.NewClient(auditwitness.Witness{URL: p.url, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// tree is a log whose every size can be signed and proved.
type tree struct {
	tree   seal.Tree
	roots  []seal.Hash
	hashes []seal.Hash
}

func newTree(t *testing.T, seed string, size int) *tree {
	t.Helper()
	l := &tree{roots: []seal.Hash{sha256.Sum256(nil)}}
	for i := range size {
		leaf := seal.Hash(sha256.Sum256([]byte(fmt.Sprint(seed, i))))
		l.hashes = append(l.hashes, leaf)
		l.tree.Append(leaf)
		root, err := l.tree.Root()
		if err != nil {
			t.Fatal(err)
		}
		l.roots = append(l.roots, root)
	}
	return l
}

func (l *tree) signed(t *testing.T, signer note.Signer, size int) []byte {
	t.Helper()
	signed, err := seal.SignCheckpoint(seal.Checkpoint{Origin: logName, Size: int64(size), Root: l.roots[size]}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// ReadTile implements [seal.TileReader] for logs of less than 65,536 leaves.
func (l *tree) ReadTile(level int, index int64, width int) ([]seal.Hash, error) {
	if level == 0 {
		return l.hashes[index*seal.TileWidth:][:width], nil
	}
	var roots []seal.Hash
	for i := range width {
		roots = append(roots, seal.Tile{Hashes: l.hashes[i*seal.TileWidth:][:seal.TileWidth]}.Root())
	}
	return roots, nil
}

func (l *tree) prove(_ context.Context, from, to int64) ([]seal.Hash, error) {
	return seal.ProveConsistency(from, to, l.roots[to], l)
}

// What a witness has cosigned, it still knows after kill -9: it goes on from there, and
// cosigns no other tree of that size or of a smaller one.
func TestKilledWitnessKeepsState(t *testing.T) {
	t.Parallel()
	s := newSetUp(t)
	l, forked := newTree(t, "a", 20_000), newTree(t, "b", 20_000)
	next, cosigned := 1, 0
	for round := range 12 {
		p := s.start(t)
		client := p.client(t, s.witness)
		if cosigned > 0 {
			_, err := client.Cosign(t.Context(), forked.signed(t, s.signer, cosigned), forked.prove)
			if !errors.Is(err, auditwitness.ErrRewritten) && !errors.Is(err, auditwitness.ErrStale) {
				t.Fatalf("round %d: another tree of size %d: %v", round, cosigned, err)
			}
			if _, err := client.Cosign(t.Context(), l.signed(t, s.signer, cosigned), l.prove); err != nil && !errors.Is(err, auditwitness.ErrStale) {
				t.Fatalf("round %d: the last tree again: %v", round, err)
			}
		}
		var killing sync.WaitGroup
		after := 1 + mathrand.IntN(40)
		for i := 0; ; i++ {
			if i == after {
				killing.Go(func() { _ = p.Process.Kill() }) // while requests go on
			}
			_, err := client.Cosign(t.Context(), l.signed(t, s.signer, next), l.prove)
			if errors.Is(err, auditwitness.ErrUnavailable) {
				break
			}
			if err != nil {
				t.Fatalf("round %d, size %d: %v", round, next, err)
			}
			cosigned = next
			next++
		}
		killing.Wait()
		_ = p.Wait() // it was killed
		next++
	}
	if cosigned < 12 {
		t.Errorf("only size %d was reached", cosigned)
	}
}

// SIGTERM ends it with status 0.
func TestTerminated(t *testing.T) {
	t.Parallel()
	s := newSetUp(t)
	p := s.start(t)
	l := newTree(t, "a", 3)
	if _, err := p.client(t, s.witness).Cosign(t.Context(), l.signed(t, s.signer, 3), l.prove); err != nil {
		t.Fatal(err)
	}
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("%v", err)
	}
}

// SIGTERM waits for the request that is being answered.
func TestTerminatedInRequest(t *testing.T) {
	t.Parallel()
	s := newSetUp(t)
	p := s.start(t)
	l := newTree(t, "a", 3)
	body, send := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"add-checkpoint", body)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 1)
	go func() {
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			got <- err.Error()
			return
		}
		text, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		got <- string(text)
	}()
	if _, err := io.WriteString(send, "old 0\n"); err != nil { // it has been sent when this returns
		t.Fatal(err)
	}
	// The server has read the head of a request when it answers another one after it.
	if _, err := p.client(t, s.witness).Cosign(t.Context(), l.signed(t, s.signer, 2), l.prove); err != nil {
		t.Fatal(err)
	}
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	awaitClosed(t, p.url)
	if _, err := io.WriteString(send, "\n"+string(l.signed(t, s.signer, 3))); err != nil {
		t.Fatal(err)
	}
	if err := send.Close(); err != nil {
		t.Fatal(err)
	}
	if answer := <-got; answer != "2\n" { // a conflict: an answer of the protocol
		t.Errorf("%q", answer)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("%v", err)
	}
}

// awaitClosed waits until nothing listens any more.
func awaitClosed(t *testing.T, url string) {
	t.Helper()
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for range 1000 {
		answer, err := fresh.Get(url)
		if err != nil {
			return
		}
		_ = answer.Body.Close()
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it still listens")
}

// Bad input is named, with the next step, and no secret is shown.
func TestBadInput(t *testing.T) {
	t.Parallel()
	s := newSetUp(t)
	dir := t.TempDir()
	private, err := os.ReadFile(s.key)
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.TrimSpace(string(private))
	readable := filepath.Join(dir, "readable")
	if err := os.WriteFile(readable, private, 0o644); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	serve := func(key, state, log string, more ...string) []string {
		return append([]string{"serve", "--key", key, "--state", state, "--log", log, "--listen", "127.0.0.1:0"}, more...)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"KeyReadable": {serve(readable, s.state, s.public), cli.ExitUsage, "chmod 600"},
		"NoKey":       {serve(filepath.Join(dir, "none"), s.state, s.public), cli.ExitUsage, "auditwitness keygen"},
		"PublicKey":   {serve(s.key+".pub", s.state, s.public), cli.ExitUsage, s.key + ".pub"},
		"WitnessLog":  {serve(s.key, s.state, s.key+".pub"), cli.ExitUsage, "verifier"},
		"SecretLog":   {serve(s.key, s.state, secret), cli.ExitUsage, "private key"},
		"StateIsFile": {serve(s.key, file, s.public), cli.ExitFailed, "directory"},
		"BadAddress":  {serve(s.key, s.state, s.public, "--listen", "nowhere:99999"), cli.ExitFailed, "listening"},
		"NoLog":       {[]string{"serve", "--key", s.key, "--state", s.state}, cli.ExitUsage, "--log"},
		"KeyExists":   {[]string{"keygen", s.key, "--name", "witness.example/w2"}, cli.ExitFailed, s.key},
		"BadName":     {[]string{"keygen", filepath.Join(dir, "new"), "--name", "two words"}, cli.ExitFailed, "name"},
	} {
		code, stdout, stderr := run(t, c.args...)
		if code != c.code || !strings.Contains(stderr, c.want) || strings.Contains(stdout+stderr, secret[len(secret)-20:]) {
			t.Errorf("%s: %d %q %q", name, code, stdout, stderr)
		}
	}
}
