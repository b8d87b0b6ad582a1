package sealer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/seal"
)

// saveEvery is the time between two calls of [VerifyConfig.Save].
const saveEvery = 5 * time.Second

// progress is a verifier between two parts, as JSON.
type progress struct {
	Version  int                  `json:"version"`
	Of       string               `json:"of"` // both checkpoints
	Covered  int64                `json:"covered"`
	Size     int64                `json:"size"`
	Edge     [][][]byte           `json:"edge"` // of the tree
	Sealed   map[seal.Kind]string `json:"sealed"`
	Through  int64                `json:"through"`
	Listed   int64                `json:"listed_through"`
	Opening  int64                `json:"opening"`
	ForkedAt int64                `json:"forked_at"`
	Unsure   bool                 `json:"unsure"`
	Verified int64                `json:"verified"`
	Skipped  int64                `json:"skipped"`
	Awaited  int64                `json:"awaited"`
	Expired  int64                `json:"expired"`
	Erased   int64                `json:"erased"`
	Claimed  int64                `json:"claimed"`
	Shared   []progressShared     `json:"shared_seqs"`
	Again    []progressShared     `json:"sealed_again"` // without hashes
	Findings []Finding            `json:"findings"`
	More     int64                `json:"more_findings"`
	Doubts   []doubt              `json:"doubts"`
	Signed   int64                `json:"signed"`
}

// progressShared is a [sharedSeq].
type progressShared struct {
	Kind seal.Kind `json:"kind"`
	Seq  int64     `json:"seq"`
	Hash []byte    `json:"hash"`
}

const progressVersion = 2

func (v *verifier) progressOf() string {
	hash := sha256.New()
	_, _ = fmt.Fprintf(hash, "%d %q %q", v.result.Epoch, v.config.Checkpoint, v.config.After) // never fails
	return hex.EncodeToString(hash.Sum(nil))
}

// save gives the progress to [VerifyConfig.Save].
func (v *verifier) save() error {
	p := progress{
		Version: progressVersion, Of: v.progressOf(), Covered: v.size, Size: v.tree.Size(), Sealed: map[seal.Kind]string{},
		Through: v.through, Listed: v.listed, Opening: v.opening, ForkedAt: v.forkedAt, Unsure: v.unsure,
		Verified: v.result.Verified, Skipped: v.result.Skipped, Awaited: v.result.Awaited, Expired: v.result.Expired, Erased: v.result.Erased, Claimed: v.result.Claimed, Findings: v.result.Findings, More: v.result.MoreFindings,
		Doubts: v.doubts, Signed: v.signed,
	}
	for _, hashes := range v.tree.Edge() {
		level := make([][]byte, len(hashes))
		for i := range hashes {
			level[i] = hashes[i][:]
		}
		p.Edge = append(p.Edge, level)
	}
	for kind, sealed := range v.sealed {
		p.Sealed[kind] = sealed.String()
	}
	for of := range v.shared {
		p.Shared = append(p.Shared, progressShared{Kind: of.leaf.kind, Seq: of.leaf.seq, Hash: of.hash[:]})
	}
	for _, of := range v.again {
		p.Again = append(p.Again, progressShared{Kind: of.kind, Seq: of.seq})
	}
	text, err := json.Marshal(p)
	if err == nil {
		err = v.config.Save(text)
	}
	if err != nil {
		return fmt.Errorf("saving the progress: %w", err)
	}
	v.savedAt = time.Now()
	return nil
}

func (v *verifier) saveNowAndThen() error {
	if !v.canSave() || time.Since(v.savedAt) < saveEvery {
		return nil
	}
	return v.save()
}

// canSave reports whether a verification could go on from here: from between two parts, and not
// from behind the last one, which may be shorter.
func (v *verifier) canSave() bool {
	return v.config.Save != nil && v.tree.Size()%partLeaves == 0
}

// keep saves the progress of a verification that ends with an error.
func (v *verifier) keep(err error) error {
	if !v.canSave() {
		return err
	}
	return errors.Join(err, v.save())
}

// resume goes on from [VerifyConfig.Resume].
func (v *verifier) resume() error {
	if v.config.Resume == nil {
		return nil
	}
	var p progress
	if err := json.Unmarshal(v.config.Resume, &p); err != nil {
		return fmt.Errorf("%w: it is damaged", ErrProgress)
	}
	switch {
	case p.Version != progressVersion:
		return fmt.Errorf("%w: it was saved by another version of coordaudit", ErrProgress)
	case p.Of != v.progressOf():
		return fmt.Errorf("%w: it was saved while another checkpoint was verified", ErrProgress)
	case p.Covered != v.size:
		return fmt.Errorf("%w: the log had %d leaves of the checkpoint, and has %d", ErrProgress, p.Covered, v.size)
	case p.Size%partLeaves != 0 || p.Size > v.size || len(p.Findings) > MaxFindings:
		return fmt.Errorf("%w: it is damaged", ErrProgress)
	}
	return v.restore(p)
}

func (v *verifier) restore(p progress) error {
	edge := make([][]seal.Hash, len(p.Edge))
	for level, hashes := range p.Edge {
		for _, hash := range hashes {
			if len(hash) != len(seal.Hash{}) {
				return fmt.Errorf("%w: it is damaged", ErrProgress)
			}
			edge[level] = append(edge[level], seal.Hash(hash))
		}
	}
	tree, err := seal.ResumeTree(p.Size, edge)
	if err != nil {
		return fmt.Errorf("%w: it is damaged", ErrProgress)
	}
	for kind := range v.sealed {
		set, err := completeness.ParseSet(p.Sealed[kind])
		if err != nil {
			return fmt.Errorf("%w: it is damaged", ErrProgress)
		}
		v.sealed[kind] = &set
	}
	for _, of := range p.Shared {
		shared := sharedSeq{leaf: leaf{kind: of.Kind, seq: of.Seq}}
		if copy(shared.hash[:], of.Hash) != len(of.Hash) || len(of.Hash) != len(shared.hash) {
			return fmt.Errorf("%w: it is damaged", ErrProgress)
		}
		v.shared[shared] = true
	}
	for _, of := range p.Again {
		v.again = append(v.again, leaf{kind: of.Kind, seq: of.Seq})
	}
	for _, found := range v.result.Findings { // of the stored checkpoint, which may have been changed since
		if !slices.Contains(p.Findings, found) && len(p.Findings) < MaxFindings {
			p.Findings = append(p.Findings, found)
		}
	}
	v.tree, v.through, v.listed, v.opening, v.forkedAt, v.unsure = *tree, p.Through, p.Listed, p.Opening, p.ForkedAt, p.Unsure
	v.result.Verified, v.result.Skipped, v.result.Awaited = p.Verified, p.Skipped, p.Awaited
	v.result.Expired, v.result.Erased, v.result.Claimed = p.Expired, p.Erased, p.Claimed
	v.result.Findings, v.result.MoreFindings = p.Findings, p.More
	v.signed = p.Signed
	v.doubt(p.Doubts)
	return nil
}
