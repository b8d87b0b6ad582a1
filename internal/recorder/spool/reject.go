package spool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/hoc-analytics/coordaudit/audit"
)

// rejects writes the files of the directory rejected. They are for people to read and remove.
// Nothing here reads them.
type rejects struct {
	disk   disk
	dir    string
	config Config

	mu     sync.Mutex
	closed bool
	number int64 // the next file's
	bytes  int64 // of all files
	active *lineFile
}

// rejected is one line of a file.
type rejected struct {
	Reason     string `json:"reason"`
	SQLState   string `json:"sqlstate"` // empty if PostgreSQL gave none
	RejectedAt string `json:"rejected_at"`

	// Record is a record in the form that coordaudit import reads.
	Record json.RawMessage `json:"record,omitempty"`

	// Input is a line that is not a record. JSON cannot hold invalid UTF-8: Input shows such
	// bytes as U+FFFD, and InputBase64 keeps the line byte for byte.
	Input       *string `json:"input,omitempty"`
	InputBase64 []byte  `json:"input_base64,omitempty"`

	// InputBytes is the line's length if Input is only its beginning.
	InputBytes int64 `json:"input_bytes,omitempty"`
}

// Reject keeps a record that the database refused for its own sake, with the reason and the
// SQLSTATE if there is one. When Reject returns nil, the record is on disk, else no part of
// it is. The error matches [ErrFull] if [Config].MaxBytes leaves no room in rejected.
func (d *Directory) Reject(rec *audit.Record, reason, sqlState string) error {
	_, err := d.RejectAll([]Rejection{{Record: rec, Err: errors.New(reason), SQLState: sqlState}})
	return err
}

// RejectLine keeps a line that is not a record, as [Directory.Reject] keeps a record.
func (d *Directory) RejectLine(bad BadLine) error {
	_, err := d.RejectAll([]Rejection{{Line: &bad}})
	return err
}

// Rejection is what [Directory.RejectAll] keeps: a record, or a line that is not a record.
type Rejection struct {
	// Record is a record that the database refused for its own sake. It is nil for a line.
	Record *audit.Record

	// Line is a line that is not a record, with its reason. It is nil for a record.
	Line *BadLine

	// Err is why the database refused the record. RejectAll keeps its text, and SQLState if
	// PostgreSQL gave one.
	Err      error
	SQLState string
}

// rejectBytes is about the number of bytes that RejectAll writes with one fsync.
const rejectBytes = 1 << 20

// RejectAll does for many what [Directory.Reject] does for one, with one fsync for each MiB.
// When it returns, the first kept of them are on disk, and no part of the others. If the
// error is nil, all of them are on disk.
func (d *Directory) RejectAll(rejections []Rejection) (kept int, err error) {
	if kept, err = d.rejects.add(rejections); err != nil {
		return kept, fmt.Errorf("keeping rejected records: %w", err)
	}
	return kept, nil
}

func (r *rejects) add(rejections []Rejection) (kept int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := time.Now().UTC().Format(timeLayout)
	var group bytes.Buffer // the lines from kept on
	for i := range rejections {
		line, err := rejections[i].line(at)
		if err == nil {
			err = r.hasRoom(int64(group.Len() + len(line)))
		}
		if err != nil {
			if writeErr := r.write(group.Bytes()); writeErr != nil {
				return kept, writeErr
			}
			return i, err
		}
		group.Write(line)
		if group.Len() < rejectBytes && i < len(rejections)-1 {
			continue
		}
		if err := r.write(group.Bytes()); err != nil {
			return kept, err
		}
		kept = i + 1
		group.Reset()
	}
	return kept, nil
}

func (r *Rejection) line(at string) ([]byte, error) {
	entry := rejected{SQLState: r.SQLState, RejectedAt: at}
	if r.Record != nil {
		record, err := r.Record.MarshalJSON()
		if err != nil {
			return nil, err
		}
		entry.Record, entry.Reason = record, r.Err.Error()
	}
	if bad := r.Line; bad != nil {
		input := string(bad.line)
		entry.Reason, entry.Input = bad.Reason, &input
		if !utf8.Valid(bad.line) {
			entry.InputBase64 = bad.line
		}
		if bad.size > int64(len(bad.line)) {
			entry.InputBytes = bad.size
		}
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // it is for people to read
	err := encoder.Encode(entry)
	return text.Bytes(), err
}

func (r *rejects) hasRoom(size int64) error {
	switch {
	case r.closed:
		return errClosed
	case r.config.MaxBytes > 0 && r.bytes+size > r.config.MaxBytes:
		return ErrFull
	default:
		return nil
	}
}

func (r *rejects) write(text []byte) error {
	size := int64(len(text))
	if size == 0 {
		return nil
	}
	if r.active != nil && (r.active.broken || r.active.size > 0 && r.active.size+size > r.config.SegmentBytes || r.active.check() != nil) {
		_ = r.active.file.Close() // what was acknowledged was synced
		r.active = nil
	}
	if r.active == nil {
		if err := r.begin(); err != nil {
			return err
		}
	}
	if err := r.active.append(text); err != nil {
		return err
	}
	r.bytes += size
	return nil
}

func (r *rejects) begin() error {
	if err := makeDir(r.disk, r.dir); err != nil {
		return err
	}
	made, next, err := createNumbered(r.disk, r.dir, r.number)
	r.number = next
	if err != nil {
		return err
	}
	r.active = made
	return nil
}

// scan finds the next number and the size of all files.
func (r *rejects) scan(found *Found) {
	r.number = 1
	entries, err := r.disk.ReadDir(r.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		found.unreadable(r.dir, err)
	}
	for _, entry := range entries {
		number, ok := numberOf(entry.Name())
		if !ok {
			continue
		}
		r.number = nextNumber(r.number, number)
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			r.bytes += info.Size()
		}
	}
}

func (r *rejects) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.active == nil {
		return nil
	}
	return r.active.file.Close()
}
