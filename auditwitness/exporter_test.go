package auditwitness_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/auditwitness"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// Each exported checkpoint of a sealer has the cosignatures of its witnesses, verifies
// offline, and verifies the trail, also after the sealer and the witnesses have started
// again.
func TestCosignedExportVerifiesOffline(t *testing.T) {
	t.Parallel()
	r := newTrail(t)
	dirs := []string{t.TempDir(), t.TempDir()}
	signers := []*seal.WitnessSigner{newWitnessKey(t, "witness.example/w1"), newWitnessKey(t, "witness.example/w2")}
	total := int64(0)
	for _, count := range []int{1, 255, 1, 300, 7} {
		var known []auditwitness.Witness
		var running []*witness
		for i := range dirs {
			w := newWitness(t, dirs[i], signers[i], r.key.verifier)
			known, running = append(known, w.known()), append(running, w)
		}
		export := r.exporter(t, auditwitness.Config{Witnesses: known, Quorum: 2})
		r.mustSeal(t, export, count)
		r.mustSeal(t, export, 2)
		total += int64(count) + 2
		signed := r.exported(t)
		c, found, err := seal.OpenCosigned(signed, logName, r.key.verifier, 2, signers[0].Witness(), signers[1].Witness())
		if err != nil || c.Size != total || len(found) != 2 {
			t.Fatalf("%v, %v, %v", c, found, err)
		}
		result, err := sealer.Verify(t.Context(), r.pool, sealer.VerifyConfig{Checkpoint: signed, Verifier: r.key.verifier})
		if err != nil || len(result.Findings) > 0 || result.Verified != total {
			t.Fatalf("%+v, %v", result, err)
		}
		for _, w := range running {
			w.stop(t)
		}
	}
}

// A witness that is away stops nothing without a quorum. With one, nothing is exported until
// it is back.
func TestAbsentWitness(t *testing.T) {
	t.Parallel()
	r := newTrail(t)
	dir, signer := t.TempDir(), newWitnessKey(t, "witness.example/w1")
	w := newWitness(t, dir, signer, r.key.verifier)
	known := w.known()
	relaxed := r.exporter(t, auditwitness.Config{Witnesses: []auditwitness.Witness{known}})
	r.mustSeal(t, relaxed, 3)
	w.http.CloseClientConnections()
	w.http.Close()
	for range 3 {
		r.mustSeal(t, relaxed, 3)
		if _, found, err := cosignatures(t, r, signer); err != nil || found != 0 {
			t.Errorf("%d cosignatures, %v", found, err)
		}
	}
	strict := r.exporter(t, auditwitness.Config{Witnesses: []auditwitness.Witness{known}, Quorum: 1})
	before := string(r.exported(t))
	for range 2 {
		err := r.seal(t, strict, 1)
		if !errors.Is(err, auditwitness.ErrQuorum) || !errors.Is(err, sealer.ErrExport) || !errors.Is(err, auditwitness.ErrUnavailable) || errors.Is(err, sealer.ErrForked) {
			t.Errorf("%v", err)
		}
		if string(r.exported(t)) != before {
			t.Error("a checkpoint without a quorum is exported")
		}
	}
	if err := w.handler.Close(); err != nil {
		t.Fatal(err)
	}
	w.http = nil
	back := newWitness(t, dir, signer, r.key.verifier)
	r.mustSeal(t, r.exporter(t, auditwitness.Config{Witnesses: []auditwitness.Witness{back.known()}, Quorum: 1}), 1)
	if size, found, err := cosignatures(t, r, signer); err != nil || found != 1 || size != 15 {
		t.Errorf("size %d, %d cosignatures, %v", size, found, err)
	}
}

// cosignatures counts the last export's.
func cosignatures(t *testing.T, r *trail, of ...*seal.WitnessSigner) (size int64, count int, err error) {
	t.Helper()
	signed := r.exported(t)
	c, err := seal.OpenCheckpoint(signed, logName, r.key.verifier)
	if err != nil {
		return 0, 0, err
	}
	var keys []*seal.Witness
	for _, signer := range of {
		keys = append(keys, signer.Witness())
	}
	found, err := seal.Cosignatures(signed, keys...)
	return c.Size, len(found), err
}

// A quorum of some is enough.
func TestQuorumOfSome(t *testing.T) {
	t.Parallel()
	r := newTrail(t)
	signers := []*seal.WitnessSigner{newWitnessKey(t, "witness.example/w1"), newWitnessKey(t, "witness.example/w2"), newWitnessKey(t, "witness.example/w3")}
	one := newWitness(t, t.TempDir(), signers[0], r.key.verifier)
	stranger := newWitness(t, t.TempDir(), signers[1], newKey(t, "another.example").verifier)
	three := newWitness(t, t.TempDir(), signers[2], r.key.verifier)
	all := []auditwitness.Witness{one.known(), stranger.known(), three.known()}
	r.mustSeal(t, r.exporter(t, auditwitness.Config{Witnesses: all, Quorum: 2}), 3)
	if _, found, err := cosignatures(t, r, signers...); err != nil || found != 2 {
		t.Errorf("%d cosignatures, %v", found, err)
	}
	if err := r.seal(t, r.exporter(t, auditwitness.Config{Witnesses: all, Quorum: 3}), 1); !errors.Is(err, auditwitness.ErrQuorum) || !errors.Is(err, auditwitness.ErrUnknownLog) {
		t.Errorf("%v", err)
	}
}

// A backup that was restored, without the exported checkpoints, is found by the witness: while
// it is smaller, and after it has grown. The sealer stops by itself, and exports nothing.
func TestRestoredLogIsIncident(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		add  int
		want []error
	}{
		"Smaller": {1, []error{auditwitness.ErrAhead, sealer.ErrCutOff}},
		"Regrown": {50, []error{auditwitness.ErrRewritten, sealer.ErrForked}},
		"Larger":  {80, []error{auditwitness.ErrRewritten, sealer.ErrForked}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTrail(t)
			w := newWitness(t, t.TempDir(), newWitnessKey(t, "witness.example/w1"), r.key.verifier)
			config := auditwitness.Config{Witnesses: []auditwitness.Witness{w.known()}}
			export := r.exporter(t, config)
			r.mustSeal(t, export, 60)
			r.mustSeal(t, export, 40)
			r.restore(t, 50)
			mustStop(t, r, config, c.add, c.want...)
			// A new epoch is a new log, and goes on.
			if _, err := r.sealer(t, r.exporter(t, config)).OpenEpoch(t.Context(), "restored"); err != nil {
				t.Fatal(err)
			}
			r.mustSeal(t, r.exporter(t, config), 1)
			if _, found, err := seal.OpenCosigned(r.exported(t), seal.Origin(logName, 2), r.key.verifier, 1, w.signer.Witness()); err != nil || len(found) != 1 {
				t.Errorf("%v, %v", found, err)
			}
		})
	}
}

// mustStop requires that a sealer stops by itself, with an event, and exports nothing.
func mustStop(t *testing.T, r *trail, config auditwitness.Config, add int, want ...error) {
	t.Helper()
	r.persist(t, add)
	lines := &fixture.Log{}
	config.Logger = lines.Logger()
	err := r.sealer(t, r.exporter(t, config)).Run(t.Context())
	for _, kind := range want {
		if !errors.Is(err, kind) {
			t.Errorf("%v, want %v", err, kind)
		}
	}
	if len(lines.Events(t, "coordination_audit_witness_incident")) != 1 {
		t.Errorf("no event: %s", lines.String())
	}
	if last, err := sealer.Directory(r.dir).Last(t.Context()); err != nil || last != nil {
		t.Errorf("exported %q, %v", last, err)
	}
}

// An owner with the signing key who edits a row, seals all again and exports all again is
// found by the witness.
func TestRewrittenTrailIsIncident(t *testing.T) {
	t.Parallel()
	r := newTrail(t)
	w := newWitness(t, t.TempDir(), newWitnessKey(t, "witness.example/w1"), r.key.verifier)
	config := auditwitness.Config{Witnesses: []auditwitness.Witness{w.known()}}
	r.mustSeal(t, r.exporter(t, config), 100)
	r.superuser(t, "UPDATE coordination_audit_records SET tenant_id = 'another' WHERE seq = 7")
	r.superuser(t, "DELETE FROM coordination_audit_seal_checkpoints")
	r.superuser(t, "DELETE FROM coordination_audit_seal_tiles")
	r.dir = t.TempDir()
	mustStop(t, r, config, 0, auditwitness.ErrRewritten, sealer.ErrForked)
	mustStop(t, r, config, 10, auditwitness.ErrRewritten, sealer.ErrForked)
}

// If the process ends after the witness has cosigned and before the checkpoint is exported,
// the next one exports it with a cosignature. The same export again keeps the file.
func TestExportAfterCosigning(t *testing.T) {
	t.Parallel()
	r := newTrail(t)
	w := newWitness(t, t.TempDir(), newWitnessKey(t, "witness.example/w1"), r.key.verifier)
	config := auditwitness.Config{Witnesses: []auditwitness.Witness{w.known()}, Quorum: 1, Proofs: auditwitness.Database(r.pool, "")}
	export := r.exporter(t, config)
	r.mustSeal(t, export, 5)
	broken, err := auditwitness.Exporter(full{sealer.Directory(r.dir)}, config)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.seal(t, broken, 5); !errors.Is(err, errFull) || !errors.Is(err, sealer.ErrExport) {
		t.Fatalf("%v", err)
	}
	r.mustSeal(t, export, 0)
	if size, found, err := cosignatures(t, r, w.signer); err != nil || size != 10 || found != 1 {
		t.Errorf("size %d, %d cosignatures, %v", size, found, err)
	}
	before := r.exported(t)
	plain := before[:strings.Index(string(before), "— witness.example/w1")]
	if err := export.Export(t.Context(), 1, 10, plain); err != nil {
		t.Errorf("the same one again: %v", err)
	}
	if string(r.exported(t)) != string(before) {
		t.Error("the exported file was replaced")
	}
}

var errFull = errors.New("the disk is full")

// full is a place that takes no checkpoint.
type full struct{ sealer.Exporter }

// Export implements [sealer.Exporter].
func (full) Export(context.Context, int64, int64, []byte) error { return errFull }

// Damaged tiles, which give no proof, stop the sealer, and no witness is blamed.
func TestDamagedTilesStopSealer(t *testing.T) {
	t.Parallel()
	r := newTrail(t)
	w := newWitness(t, t.TempDir(), newWitnessKey(t, "witness.example/w1"), r.key.verifier)
	export := r.exporter(t, auditwitness.Config{Witnesses: []auditwitness.Witness{w.known()}})
	r.mustSeal(t, export, 300)
	r.mustSeal(t, sealer.Directory(r.dir), 300)
	r.superuser(t, `UPDATE coordination_audit_seal_tiles SET hashes = overlay(hashes PLACING '\x00112233' FROM 1) WHERE level = 0 AND idx = 1`)
	err := r.seal(t, export, 10)
	if !errors.Is(err, sealer.ErrTampered) || errors.Is(err, auditwitness.ErrRewritten) {
		t.Errorf("%v", err)
	}
}

// A configuration that cannot work is refused at once.
func TestExporterConfig(t *testing.T) {
	t.Parallel()
	idle := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(idle.Close)
	inner := sealer.Directory(t.TempDir())
	proofs := auditwitness.Database(nil, "")
	one := auditwitness.Witness{URL: idle.URL, Key: newWitnessKey(t, "witness.example/w1").Witness()}
	if _, err := auditwitness.Exporter(inner, auditwitness.Config{Witnesses: []auditwitness.Witness{one}, Proofs: proofs}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		inner  sealer.Exporter
		config auditwitness.Config
	}{
		"NoInner":        {nil, auditwitness.Config{Witnesses: []auditwitness.Witness{one}, Proofs: proofs}},
		"NoWitness":      {inner, auditwitness.Config{Proofs: proofs}},
		"NoProofs":       {inner, auditwitness.Config{Witnesses: []auditwitness.Witness{one}}},
		"QuorumTooLarge": {inner, auditwitness.Config{Witnesses: []auditwitness.Witness{one}, Quorum: 2, Proofs: proofs}},
		"QuorumNegative": {inner, auditwitness.Config{Witnesses: []auditwitness.Witness{one}, Quorum: -1, Proofs: proofs}},
		"Timeout":        {inner, auditwitness.Config{Witnesses: []auditwitness.Witness{one}, Timeout: -1, Proofs: proofs}},
		"OneKeyTwice":    {inner, auditwitness.Config{Witnesses: []auditwitness.Witness{one, one}, Proofs: proofs}},
		"NoURL":          {inner, auditwitness.Config{Witnesses: []auditwitness.Witness{{Key: one.Key}}, Proofs: proofs}},
	} {
		if e, err := auditwitness.Exporter(c.inner, c.config); !errors.Is(err, auditwitness.ErrConfig) || e != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
