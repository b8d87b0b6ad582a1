package coordaudit

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/sealing"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
	"github.com/hoc-analytics/coordaudit/seal"
)

// sealedTrail is a key, a place for checkpoints, and a database with records.
type sealedTrail struct {
	db                    *testdb.DB
	ids                   []uuid.UUID
	key, public, exported string
}

func newSealing(t *testing.T, records int) sealedTrail {
	t.Helper()
	dir := t.TempDir()
	s := sealedTrail{db: testdb.New(t), key: filepath.Join(dir, "key"), public: filepath.Join(dir, "key.pub"), exported: t.TempDir()}
	run(t, "", "", "seal", "keygen", s.key, "--name", "audit.example/plant-7").mustExit(t, cli.ExitDone)
	source := sourceWith(t, s.db, "sealed", records, true)
	rows, err := s.db.Pool.Query(t.Context(), "SELECT audit_id FROM coordination_audit_records WHERE source_id = $1 ORDER BY seq", source.ID())
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		s.ids = append(s.ids, id)
	}
	return s
}

func (s sealedTrail) once(t *testing.T) ran {
	t.Helper()
	return run(t, s.db.URL, "", "seal", "--key", s.key, "--checkpoints", s.exported, "--once")
}

func (s sealedTrail) verify(t *testing.T, flags ...string) ran {
	t.Helper()
	return run(t, s.db.URL, "", append([]string{"verify", "--checkpoint", s.exported, "--key", s.public}, flags...)...)
}

// The usual way: make a key, seal, verify, prove, verify the proof without a database.
func TestSealVerifyProve(t *testing.T) {
	t.Parallel()
	s := newSealing(t, 300)
	got := s.once(t)
	got.mustExit(t, cli.ExitDone)
	if !strings.HasPrefix(got.stdout, "sealed 302 rows") { // and two statements
		t.Errorf("stdout %q", got.stdout)
	}
	got = s.verify(t)
	got.mustExit(t, cli.ExitDone)
	if !strings.Contains(got.stdout, "audit.example/plant-7, 302 leaves") || !strings.Contains(got.stdout, "every row that the checkpoint covers is as it was sealed") {
		t.Errorf("stdout %q", got.stdout)
	}
	bundle := filepath.Join(t.TempDir(), "bundle")
	run(t, s.db.URL, "", "prove", s.ids[17].String(), "--out", bundle).mustExit(t, cli.ExitDone)
	got = run(t, "", "", "verify", "bundle", bundle, "--key", s.public)
	got.mustExit(t, cli.ExitDone)
	if !strings.Contains(got.stdout, "record "+s.ids[17].String()+" is leaf") {
		t.Errorf("stdout %q", got.stdout)
	}

	execSQL(t, s.db, "ALTER TABLE coordination_audit_records DISABLE TRIGGER USER; UPDATE coordination_audit_records SET tenant_id = 'another' WHERE audit_id = '"+s.ids[17].String()+"'")
	got = s.verify(t)
	got.mustExit(t, cli.ExitFailed)
	if !strings.Contains(got.stdout, "EDITED      record "+s.ids[17].String()) {
		t.Errorf("stdout %q", got.stdout)
	}
	got = s.verify(t, "--json")
	got.mustExit(t, cli.ExitFailed)
	got.code = cli.ExitDone
	if object := result[sealing.VerificationJSON](t, got); object.Intact || len(object.Findings) != 1 || *object.Findings[0].ID != s.ids[17] || object.Findings[0].Fault != "edited" || object.Verified != 301 {
		t.Errorf("%+v", object)
	}
	run(t, "", "", "verify", "bundle", bundle, "--key", s.public).mustExit(t, cli.ExitDone) // what was sealed stays proved
}

// With --witness, a checkpoint must have the witness's cosignature below the log's signature.
func TestVerifyRequiresWitnesses(t *testing.T) {
	t.Parallel()
	s := newSealing(t, 3)
	s.once(t).mustExit(t, cli.ExitDone)
	dir := t.TempDir()
	key, other := filepath.Join(dir, "w1"), filepath.Join(dir, "w2")
	for path, name := range map[string]string{key: "witness.example/w1", other: "witness.example/w2"} {
		if _, err := seal.CreateWitnessKey(path, name); err != nil {
			t.Fatal(err)
		}
	}
	s.verify(t, "--witness", key+".pub").mustExit(t, cli.ExitFailed)
	cosign(t, s.exported, key)
	s.verify(t, "--witness", key+".pub").mustExit(t, cli.ExitDone)
	s.verify(t, "--witness", key+".pub", "--witness", other+".pub", "--quorum", "1").mustExit(t, cli.ExitDone)
	s.verify(t, "--witness", key+".pub", "--witness", other+".pub").mustExit(t, cli.ExitFailed)
	s.verify(t, "--quorum", "1").mustExit(t, cli.ExitUsage)

	// So must a bundle, which has it if it was proved under the exported checkpoint.
	bundle := filepath.Join(dir, "bundle")
	verifyBundle := func(want int, flags ...string) {
		t.Helper()
		run(t, "", "", append([]string{"verify", "bundle", bundle, "--key", s.public}, flags...)...).mustExit(t, want)
	}
	run(t, s.db.URL, "", "prove", s.ids[1].String(), "--out", bundle).mustExit(t, cli.ExitDone)
	verifyBundle(cli.ExitDone)
	verifyBundle(cli.ExitFailed, "--witness", key+".pub")
	run(t, s.db.URL, "", "prove", s.ids[1].String(), "--out", bundle, "--checkpoint", s.exported, "--key", s.public).mustExit(t, cli.ExitDone)
	verifyBundle(cli.ExitDone)
	verifyBundle(cli.ExitDone, "--witness", key+".pub")
	verifyBundle(cli.ExitFailed, "--witness", other+".pub")
	verifyBundle(cli.ExitUsage, "--quorum", "1")
	run(t, s.db.URL, "", "prove", s.ids[1].String(), "--checkpoint", s.exported).mustExit(t, cli.ExitUsage)
}

// cosign adds a witness's cosignature to the only checkpoint of a directory, and returns its file.
func cosign(t *testing.T, exported, key string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(exported, "*", "*", "*.checkpoint"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%q, %v", files, err)
	}
	signed, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	signer, err := seal.LoadWitnessSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(signed), "\n\n")
	line, err := signer.Cosign(text+"\n", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], append(signed, line...), 0o600); err != nil {
		t.Fatal(err)
	}
	return files[0]
}

// Bad input is named, with the file and the next step, and nothing is written.
func TestSealNamesBadInput(t *testing.T) {
	t.Parallel()
	s := newSealing(t, 3)
	s.once(t).mustExit(t, cli.ExitDone)
	dir := t.TempDir()
	other := filepath.Join(dir, "other")
	run(t, "", "", "seal", "keygen", other, "--name", "audit.example/another").mustExit(t, cli.ExitDone)
	same := filepath.Join(dir, "same")
	run(t, "", "", "seal", "keygen", same, "--name", "audit.example/plant-7").mustExit(t, cli.ExitDone)
	readable := filepath.Join(dir, "readable")
	text, err := os.ReadFile(s.key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(path string, text []byte, mode os.FileMode) string {
		t.Helper()
		if err := os.WriteFile(path, text, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	bundle := filepath.Join(dir, "bundle")
	run(t, s.db.URL, "", "prove", s.ids[0].String(), "--out", bundle).mustExit(t, cli.ExitDone)
	proof, err := os.ReadFile(bundle)
	if err != nil {
		t.Fatal(err)
	}
	cut := write(filepath.Join(dir, "cut"), proof[:len(proof)/2], 0o600)
	altered := write(filepath.Join(dir, "altered"), []byte(strings.Replace(string(proof), "index ", "index 1", 1)), 0o600)
	file := write(filepath.Join(dir, "file"), nil, 0o600)
	large := write(filepath.Join(dir, "large"), make([]byte, 70<<10), 0o600)

	for name, c := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"KeyReadableByOthers": {[]string{"seal", "--key", write(readable, text, 0o644), "--checkpoints", s.exported, "--once"}, cli.ExitUsage, []string{readable, "chmod 600"}},
		"NoKey":               {[]string{"seal", "--key", filepath.Join(dir, "none"), "--checkpoints", s.exported, "--once"}, cli.ExitUsage, []string{"none", "keygen"}},
		"PublicKey":           {[]string{"seal", "--key", s.public, "--checkpoints", s.exported, "--once"}, cli.ExitUsage, []string{s.public, "public key, give the file without .pub"}},
		"DamagedKey":          {[]string{"seal", "--key", write(filepath.Join(dir, "damaged"), text[:40], 0o600), "--checkpoints", s.exported, "--once"}, cli.ExitUsage, []string{"damaged"}},
		"KeyOfAnotherLog":     {[]string{"seal", "--key", other, "--checkpoints", s.exported, "--once"}, cli.ExitFailed, []string{"another"}},
		"DirectoryIsFile":     {[]string{"seal", "--key", s.key, "--checkpoints", file, "--once"}, cli.ExitFailed, []string{file}},
		"KeyExists":           {[]string{"seal", "keygen", s.key, "--name", "x"}, cli.ExitFailed, []string{s.key}},
		"BadName":             {[]string{"seal", "keygen", filepath.Join(dir, "new"), "--name", "two words"}, cli.ExitFailed, []string{"name"}},
		"OtherVerifier":       {[]string{"verify", "--checkpoint", s.exported, "--key", other + ".pub"}, cli.ExitFailed, []string{"origin", "public key of that log"}},
		"OtherSigner":         {[]string{"verify", "--checkpoint", s.exported, "--key", same + ".pub"}, cli.ExitFailed, []string{"not signed"}},
		"NoCheckpoint":        {[]string{"verify", "--checkpoint", dir, "--key", s.public}, cli.ExitFailed, []string{dir, "no checkpoint"}},
		"CheckpointIsNone":    {[]string{"verify", "--checkpoint", bundle, "--key", s.public}, cli.ExitFailed, []string{bundle, "malformed", "get it again"}},
		"CheckpointIsLarge":   {[]string{"verify", "--checkpoint", large, "--key", s.public}, cli.ExitFailed, []string{large, "64 KiB"}},
		"CheckpointIsNoFile":  {[]string{"verify", "--checkpoint", os.DevNull, "--key", s.public}, cli.ExitFailed, []string{os.DevNull, "is not a file"}},
		"OlderIsNone":         {[]string{"verify", "--checkpoint", s.exported, "--after", bundle, "--key", s.public}, cli.ExitFailed, []string{bundle, "malformed", "get it again"}},
		"EpochWithoutReason":  {[]string{"seal", "--key", s.key, "--checkpoints", s.exported, "--new-epoch", " "}, cli.ExitUsage, []string{"--new-epoch", "reason"}},
		"BundleCut":           {[]string{"verify", "bundle", cut, "--key", s.public}, cli.ExitFailed, []string{cut}},
		"BundleAltered":       {[]string{"verify", "bundle", altered, "--key", s.public}, cli.ExitFailed, []string{altered}},
		"BundleOfAnother":     {[]string{"verify", "bundle", bundle, "--key", same + ".pub"}, cli.ExitFailed, []string{bundle, "not signed"}},
		"NoRecord":            {[]string{"prove", uuid.NewString()}, cli.ExitFailed, []string{"not found"}},
		"NoID":                {[]string{"prove", "x"}, cli.ExitUsage, []string{"UUID"}},
		"NoEvery":             {[]string{"seal", "--key", s.key, "--checkpoints", s.exported, "--every", "0s"}, cli.ExitUsage, []string{"--every"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, s.db.URL, "", c.args...)
			got.mustExit(t, c.code)
			for _, want := range c.want {
				if !strings.Contains(got.stderr, want) {
					t.Errorf("stderr %q, want %q", got.stderr, want)
				}
			}
			if got.stdout != "" || strings.Contains(got.stderr, "PRIVATE") {
				t.Errorf("stdout %q, stderr %q", got.stdout, got.stderr)
			}
		})
	}
}

// A directory that is not there was mistyped, or is not mounted. It is made if that is asked for, in
// one that is there. A place without what was exported is refused in the same way.
func TestSealMakesNoDirectory(t *testing.T) {
	t.Parallel()
	s := newSealing(t, 3)
	into := func(dir string, flags ...string) ran {
		return run(t, s.db.URL, "", append([]string{"seal", "--key", s.key, "--checkpoints", dir, "--once"}, flags...)...)
	}
	dir := filepath.Join(s.exported, "checkpoints")
	for _, flags := range [][]string{nil, {"--new-epoch", "a test"}} {
		got := into(dir, flags...)
		got.mustExit(t, cli.ExitFailed)
		mustContain(t, got.stderr, dir+": it does not exist: mount it, or correct the path; for the first start, make it with mkdir, or pass --new-checkpoints\n")
	}
	deep := into(filepath.Join(dir, "deep"), "--new-checkpoints")
	deep.mustExit(t, cli.ExitFailed)
	mustContain(t, deep.stderr, "make the directory above it")
	if _, err := os.Stat(dir); err == nil {
		t.Fatal("the directory was made")
	}
	into(dir, "--new-checkpoints").mustExit(t, cli.ExitDone)
	sourceWith(t, s.db, "more", 3, true)
	into(dir).mustExit(t, cli.ExitDone)

	another := t.TempDir()
	got := into(another)
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stderr, "mount the right one", "--new-checkpoints")
	if files, _ := filepath.Glob(filepath.Join(another, "*")); len(files) > 0 {
		t.Errorf("%q in another directory", files)
	}
	into(another, "--new-checkpoints").mustExit(t, cli.ExitDone)
	s.exported = another
	s.verify(t).mustExit(t, cli.ExitDone)
}

// The program seals until it is stopped.
func TestSealRuns(t *testing.T) {
	t.Parallel()
	s := newSealing(t, 3)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan ran)
	go func() {
		done <- runWith(ctx, s.db.URL, strings.NewReader(""), "seal", "--key", s.key, "--checkpoints", s.exported, "--every", "10ms")
	}()
	for {
		if files, _ := filepath.Glob(filepath.Join(s.exported, "*", "*", "*.checkpoint")); len(files) > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	stop()
	got := <-done
	got.mustExit(t, cli.ExitDone)
	s.verify(t).mustExit(t, cli.ExitDone)
}
