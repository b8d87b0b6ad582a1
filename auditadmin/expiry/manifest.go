package expiry

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
)

// The files of an archive.
const (
	ManifestFile   = "manifest.json"
	RecordsFile    = "records.jsonl.gz"
	ProofsFile     = "proofs.jsonl.gz"
	CheckpointFile = "checkpoint"
)

// Manifest says what an archive holds. Its SHA-256 is the digest of the archive.
type Manifest struct {
	Format   int    `json:"format"`
	Software string `json:"software"`
	MadeAt   string `json:"made_at"` // by the clock of the archiving machine

	// Origin, Size and Root are those of the checkpoint.
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
	Root   string `json:"root"` // in base64

	// The filter. An empty TenantID next to false is no tenant.
	EveryTenant bool     `json:"every_tenant"`
	TenantID    string   `json:"tenant_id"`
	Classes     []string `json:"classes"`
	Before      string   `json:"before"`

	Records  int64 `json:"records"`
	FirstSeq int64 `json:"first_seq"` // the lowest
	LastSeq  int64 `json:"last_seq"`  // the highest

	// Batches are the numbers of records that expire together, in the order of the file.
	Batches []int64 `json:"batches"`

	RecordsSHA256    string `json:"records_sha256"`
	ProofsSHA256     string `json:"proofs_sha256"`
	CheckpointSHA256 string `json:"checkpoint_sha256"`

	digest string
	seqs   completeness.Set // of its records, if they were checked
}

const (
	manifestFormat = 2
	maxManifest    = 64 << 20
)

// Digest is the SHA-256 of the manifest, in hexadecimal. Events name it.
func (m *Manifest) Digest() string { return m.digest }

func (m *Manifest) marshal() ([]byte, error) {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the manifest: %w", err)
	}
	text = append(text, '\n')
	m.digest = digestOf(text)
	return text, nil
}

func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func damaged(what string) error {
	return fmt.Errorf("%w: %s: take an intact copy, or archive again", ErrArchive, what)
}

// readManifest reads the manifest of an archive, and requires that its numbers fit together.
func readManifest(dir string) (*Manifest, error) {
	text, err := readBounded(filepath.Join(dir, ManifestFile), maxManifest)
	if err != nil {
		return nil, fmt.Errorf("%w: reading the manifest: %w", ErrArchive, err)
	}
	m := &Manifest{digest: digestOf(text)}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(m); err != nil || decoder.More() {
		return nil, damaged("its manifest cannot be read")
	}
	if m.Format < manifestFormat {
		return nil, fmt.Errorf("%w: its format is %d, of a release before the first, and this program knows %d: archive again, or check it with the program that wrote it", ErrArchive, m.Format, manifestFormat)
	}
	if m.Format > manifestFormat {
		return nil, fmt.Errorf("%w: its format is %d, and this program knows %d: a newer release may read it", ErrArchive, m.Format, manifestFormat)
	}
	sum := int64(0)
	for _, records := range m.Batches {
		if records < 1 || records > m.Records {
			return nil, damaged("the batches of its manifest do not add up")
		}
		sum += records
	}
	if sum != m.Records || m.Records < 1 {
		return nil, damaged("the batches of its manifest do not add up")
	}
	_, err = m.selection()
	return m, err
}

func (m *Manifest) selection() (sealdriver.Selection, error) {
	before, err := time.Parse(time.RFC3339Nano, m.Before)
	if err != nil || audit.FormatTime(before) != m.Before {
		return sealdriver.Selection{}, damaged("the horizon of its manifest is no time")
	}
	return sealdriver.Selection{EveryTenant: m.EveryTenant, TenantID: m.TenantID, Classes: m.Classes, Before: before}, nil
}

func readBounded(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = errors.New("the file is too large")
	}
	return text, err
}
