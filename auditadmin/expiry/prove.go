package expiry

import (
	"context"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/seal"
)

// ProveArchived returns a bundle that proves a record of an archive, as sealer.Prove does for one
// of the trail. It needs no database and no key: who verifies the bundle has the key, and what
// leads to the checkpoint of the archive was checked. The error matches [ErrNoSuch] if the archive
// does not hold the record, or [ErrArchive]. See [CheckArchive] for all of an archive.
func ProveArchived(ctx context.Context, dir string, id uuid.UUID) (seal.Proof, error) {
	proof, err := proveArchived(ctx, dir, id)
	if err != nil {
		return seal.Proof{}, fmt.Errorf("proving record %s from the archive: %w", id, err)
	}
	return proof, nil
}

func proveArchived(ctx context.Context, dir string, id uuid.UUID) (seal.Proof, error) {
	m, err := readManifest(dir)
	if err != nil {
		return seal.Proof{}, err
	}
	signed, err := readCheckpoint(dir, m)
	if err != nil {
		return seal.Proof{}, err
	}
	text, _, _ := strings.Cut(string(signed), "\n\n")
	checkpoint, err := seal.ParseCheckpointText(text + "\n")
	if err != nil {
		return seal.Proof{}, fmt.Errorf("%w: its checkpoint: %w", ErrArchive, err)
	}
	if err := m.names(checkpoint); err != nil {
		return seal.Proof{}, err
	}
	lines, err := openLines(dir, m)
	if err != nil {
		return seal.Proof{}, err
	}
	defer lines.close()
	for lines.more() && ctx.Err() == nil {
		some, err := lines.next()
		if err != nil {
			return seal.Proof{}, err
		}
		if i := some.indexOf(id); i >= 0 {
			return some.bundle(i, checkpoint, signed)
		}
	}
	if ctx.Err() != nil {
		return seal.Proof{}, context.Cause(ctx)
	}
	if err := lines.end(); err != nil { // a record may be missing
		return seal.Proof{}, err
	}
	return seal.Proof{}, fmt.Errorf("%w: none of its %d records has this id: look in another archive, or leave --archive out if the record is in the trail", ErrNoSuch, m.Records)
}

// indexOf is -1 if no line is that of the record.
func (p *provenLines) indexOf(id uuid.UUID) int {
	for i := range p.ends {
		if carried := p.proof.Rows[i].Carried; carried != nil {
			if rec, err := carried.Record(); err == nil && rec.AuditID == id {
				return i
			}
		} else if rec, _, err := audit.ParseRecord(p.line(i)); err == nil && rec.AuditID == id {
			return i
		}
	}
	return -1
}

// bundle proves one of the lines.
func (p *provenLines) bundle(i int, checkpoint seal.Checkpoint, signed []byte) (seal.Proof, error) {
	_, leaves, err := proveLines(&seal.Hasher{}, p, checkpoint)
	if err != nil {
		return seal.Proof{}, err
	}
	_, row, err := rowOf(&p.proof.Rows[i], p.line(i))
	if err != nil {
		return seal.Proof{}, err
	}
	place := slices.Collect(p.proof.Places.All())[i]
	path, err := p.proof.Inclusion(place, leaves)
	if err != nil {
		return seal.Proof{}, err
	}
	proof := seal.Proof{Row: row, Index: p.proof.Tile*seal.TileWidth + int64(place), Hashes: path, Checkpoint: signed}
	return proof, seal.CheckInclusion(checkpoint.Size, checkpoint.Root, proof.Index, leaves[i], path)
}

// readCheckpoint reads the signed checkpoint of an archive, which is the one that the manifest names.
func readCheckpoint(dir string, m *Manifest) ([]byte, error) {
	const most = 64 << 10
	signed, err := readBounded(filepath.Join(dir, CheckpointFile), most)
	if err != nil {
		return nil, fmt.Errorf("%w: reading its checkpoint: %w", ErrArchive, err)
	}
	if digestOf(signed) != m.CheckpointSHA256 {
		return nil, damaged("its checkpoint is another one")
	}
	return signed, nil
}

// names requires that a checkpoint is the one that the manifest names.
func (m *Manifest) names(c seal.Checkpoint) error {
	if c.Origin != m.Origin || c.Size != m.Size || base64.StdEncoding.EncodeToString(c.Root[:]) != m.Root {
		return damaged("its manifest names another checkpoint")
	}
	return nil
}
