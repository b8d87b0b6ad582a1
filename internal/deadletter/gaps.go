package deadletter

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
)

// timeLayout always shows microseconds, as the records' own times do.
const timeLayout = "2006-01-02T15:04:05.000000Z07:00"

// gaps keeps the file of gaps.
type gaps struct {
	dir, torn string

	mu     sync.Mutex
	closed bool

	// damaged: the file has lines that are no gap, so it must not be removed.
	damaged bool
}

// savedGap is one line of the file.
type savedGap struct {
	GapID        string                        `json:"gap_id"`
	Dropped      map[audit.EnvelopeClass]int64 `json:"dropped"`
	FirstAuditID string                        `json:"first_audit_id"`
	LastAuditID  string                        `json:"last_audit_id"`
	From         time.Time                     `json:"from"`
	Until        time.Time                     `json:"until"`
	Cause        string                        `json:"cause"`
}

// SaveGap keeps a gap that could not be recorded in the database. It is on disk when
// SaveGap returns nil; else nothing of it is. The next Open finds it; of several with
// the same id, the one that was saved last.
func (d *Directory) SaveGap(gap audit.Gap) error {
	line, err := json.Marshal(savedGap{
		GapID:        gap.GapID.String(),
		Dropped:      gap.Dropped,
		FirstAuditID: gap.FirstAuditID.String(),
		LastAuditID:  gap.LastAuditID.String(),
		From:         gap.From.UTC(),
		Until:        gap.Until.UTC(),
		Cause:        gap.Cause,
	})
	if err == nil {
		err = d.gaps.save(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("saving a gap: %w", err)
	}
	return nil
}

func (g *gaps) path() string { return filepath.Join(g.dir, gapsName) }

func (g *gaps) save(text []byte) (err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return audit.ErrClosed
	}
	out, err := os.OpenFile(g.path(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	size, err := out.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if torn, err := endsTorn(out, size); err != nil {
		return err
	} else if torn {
		text = slices.Insert(text, 0, '\n')
	}
	lines := lineFile{file: out, path: g.path(), size: size}
	return lines.append(text, g.dir)
}

func endsTorn(in io.ReaderAt, size int64) (bool, error) {
	if size == 0 {
		return false, nil
	}
	var last [1]byte
	_, err := in.ReadAt(last[:], size-1)
	return last[0] != '\n', err
}

// ForgetGaps removes what SaveGap saved, once it is recorded. Lines that are no gap
// are kept, in the directory torn.
func (d *Directory) ForgetGaps() error {
	if err := d.gaps.forget(); err != nil {
		return fmt.Errorf("forgetting saved gaps: %w", err)
	}
	return nil
}

func (g *gaps) forget() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return audit.ErrClosed
	}
	info, err := os.Lstat(g.path())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return nil // it is not ours: SaveGap saves nothing to it
	case g.damaged:
		err = g.putAside()
	default:
		err = os.Remove(g.path())
	}
	if err != nil {
		return err
	}
	g.damaged = false
	return syncDir(g.dir)
}

// putAside moves the file to the first free name in torn.
func (g *gaps) putAside() error {
	if err := makeDir(g.torn); err != nil {
		return err
	}
	for n := 1; ; n++ {
		path := filepath.Join(g.torn, fmt.Sprintf("gaps-%d%s", n, lineFileSuffix))
		if _, err := os.Lstat(path); err == nil {
			continue
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return errors.Join(os.Rename(g.path(), path), syncDir(g.torn))
	}
}

// scan reads the gaps that are there, and leaves the file as it is.
func (g *gaps) scan(found *Found) {
	info, err := os.Lstat(g.path())
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("is not a regular file")
	}
	if err == nil {
		err = g.read(found)
	}
	if err != nil {
		g.damaged = true
		found.unreadable(g.path(), err)
	}
}

func (g *gaps) read(found *Found) (err error) {
	in, err := os.Open(g.path())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	lines := newLineReader(in)
	var bad int
	var first error
	for number := 1; ; number++ {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		atEnd := err != nil
		var gap audit.Gap
		if !atEnd {
			gap, err = parseGap(line)
		}
		if err == nil {
			found.Gaps = slices.DeleteFunc(found.Gaps, func(earlier audit.Gap) bool { return earlier.GapID == gap.GapID })
			found.Gaps = append(found.Gaps, gap)
			continue
		}
		if bad++; first == nil {
			first = fmt.Errorf("line %d: %w", number, err)
		}
		if atEnd {
			break
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of its lines are no gaps, the first is %w", bad, first)
	}
	return nil
}

func parseGap(line line) (audit.Gap, error) {
	if line.tooLong() {
		return audit.Gap{}, fmt.Errorf("is %d bytes long, at most %d are allowed", line.size-1, maxLine)
	}
	var saved savedGap
	if err := json.Unmarshal(line.text, &saved); err != nil {
		return audit.Gap{}, err
	}
	gap := audit.Gap{Dropped: saved.Dropped, From: saved.From, Until: saved.Until, Cause: saved.Cause}
	var errs [3]error
	gap.GapID, errs[0] = audit.ParseAuditID(saved.GapID)
	gap.FirstAuditID, errs[1] = audit.ParseAuditID(saved.FirstAuditID)
	gap.LastAuditID, errs[2] = audit.ParseAuditID(saved.LastAuditID)
	return gap, errors.Join(errs[:]...)
}

func (g *gaps) close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	return nil
}
