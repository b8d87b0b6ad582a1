package auditwitness

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/durable"
	"github.com/hoc-analytics/coordaudit/seal"
)

const (
	stateSuffix = ".checkpoint"
	lockName    = "lock"
)

// state keeps the last cosigned checkpoint of each log in a file. The file is the truth: it
// is read for every request. It is safe for concurrent use, but put is for one at a time.
type state struct {
	dir     string
	release func() error

	mu    sync.Mutex
	sizes map[string]int64 // what this process has stored or read, by origin
}

func openState(dir string) (*state, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the directory: %w", err)
	}
	release, err := takeLock(filepath.Join(dir, lockName))
	if err != nil {
		return nil, err
	}
	s := &state{dir: dir, release: release, sizes: map[string]int64{}}
	if err := s.sweep(); err != nil {
		return nil, errors.Join(err, release())
	}
	return s, nil
}

func (s *state) close() error { return s.release() }

// sweep removes what a crash left unfinished.
func (s *state) sweep() error {
	left, err := filepath.Glob(filepath.Join(s.dir, "*"+durable.Unfinished))
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// nameOf is the origin's hash, as the protocol has it in URLs.
func nameOf(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return hex.EncodeToString(sum[:])
}

// isName keeps paths out.
func isName(name string) bool {
	return len(name) == hex.EncodedLen(sha256.Size) && strings.Trim(name, "0123456789abcdef") == ""
}

// read returns the state of the log whose origin has a hash, or nil if there is none.
func (s *state) read(name string) ([]byte, error) {
	if !isName(name) {
		return nil, nil
	}
	signed, err := os.ReadFile(filepath.Join(s.dir, name+stateSuffix)) //nolint:gosec // the name is 64 hexadecimal digits
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: reading it: %w", ErrState, err)
	}
	return signed, nil
}

// get returns the state of a log, and its path. It is an error if there is none any more.
func (s *state) get(origin string) (signed []byte, path string, err error) {
	path = filepath.Join(s.dir, nameOf(origin)+stateSuffix)
	signed, err = s.read(nameOf(origin))
	if err == nil && signed == nil {
		err = s.checkSize(seal.Checkpoint{Origin: origin}, path)
	}
	return signed, path, err
}

// checkSize refuses a state that is older than this process knows.
func (s *state) checkSize(found seal.Checkpoint, path string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.sizes[found.Origin]; found.Size < known {
		return damaged(path, fmt.Errorf("it has size %d, and this process cosigned %d", found.Size, known))
	}
	s.sizes[found.Origin] = found.Size
	return nil
}

// put makes a checkpoint the state of its log. It is durable when put returns nil. After an
// error it may be stored, which is safe: the checkpoint is consistent with the one before.
func (s *state) put(checkpoint seal.Checkpoint, signed []byte) error {
	if err := durable.ReplaceFile(filepath.Join(s.dir, nameOf(checkpoint.Origin)+stateSuffix), signed); err != nil {
		return fmt.Errorf("writing the state: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sizes[checkpoint.Origin] = checkpoint.Size
	return nil
}

// origins returns the origins of all logs that have a state.
func (s *state) origins() ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(s.dir, "*"+stateSuffix))
	if err != nil {
		return nil, fmt.Errorf("listing the state: %w", err)
	}
	var origins []string
	for _, path := range paths {
		signed, err := os.ReadFile(path)
		if err != nil {
			return nil, damaged(path, err)
		}
		text, _, _ := bytes.Cut(signed, []byte("\n"))
		if origin := string(text); nameOf(origin)+stateSuffix == filepath.Base(path) {
			origins = append(origins, origin)
			continue
		}
		return nil, damaged(path, errors.New("its name is not the hash of its first line"))
	}
	return origins, nil
}

func damaged(path string, cause error) error {
	return fmt.Errorf("%w: %s: %w: replace the file with the largest exported checkpoint of the log that has this witness's cosignature", ErrState, audit.Printable(path), cause)
}
