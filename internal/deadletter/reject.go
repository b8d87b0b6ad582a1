package deadletter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/hoc-analytics/coordaudit/audit"
)

// rejects writes the files of the directory rejected. They are for people, who look
// at them and remove them; nothing here reads them.
type rejects struct {
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

	// Input is a line that is no record. JSON holds no broken UTF-8: such bytes are
	// shown as U+FFFD, and the line is kept byte for byte in InputBase64.
	Input       *string `json:"input,omitempty"`
	InputBase64 []byte  `json:"input_base64,omitempty"`

	// InputBytes is the line's length if Input is only its beginning.
	InputBytes int64 `json:"input_bytes,omitempty"`
}

// Reject keeps a record that the database refused for good, with the reason and the
// SQLSTATE if there is one. It is on disk when Reject returns nil; else nothing of it is.
// The error matches [ErrFull] if the directory rejected has no room left by [Config].MaxBytes.
func (d *Directory) Reject(rec *audit.Record, reason, sqlState string) error {
	record, err := rec.MarshalJSON()
	if err != nil {
		return fmt.Errorf("keeping a rejected record: %w", err)
	}
	return d.rejects.add(rejected{Reason: reason, SQLState: sqlState, Record: record})
}

// RejectLine keeps a line that is no record, as [Directory.Reject] does with one that is.
func (d *Directory) RejectLine(bad BadLine) error {
	input := string(bad.line)
	line := rejected{Reason: bad.Reason, Input: &input}
	if !utf8.Valid(bad.line) {
		line.InputBase64 = bad.line
	}
	if bad.size > int64(len(bad.line)) {
		line.InputBytes = bad.size
	}
	return d.rejects.add(line)
}

func (r *rejects) add(entry rejected) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	entry.RejectedAt = time.Now().UTC().Format(timeLayout)
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // it is for people to read
	err := encoder.Encode(entry)
	if err == nil {
		err = r.write(text.Bytes())
	}
	if err != nil {
		return fmt.Errorf("keeping a rejected record: %w", err)
	}
	return nil
}

func (r *rejects) write(text []byte) error {
	size := int64(len(text))
	switch {
	case r.closed:
		return audit.ErrClosed
	case r.config.MaxBytes > 0 && r.bytes+size > r.config.MaxBytes:
		return ErrFull
	case r.active != nil && (r.active.broken || r.active.size > 0 && r.active.size+size > r.config.SegmentBytes):
		_ = r.active.file.Close() // all that counts was synced
		r.active = nil
	}
	if r.active == nil {
		if err := r.begin(); err != nil {
			return err
		}
	}
	if err := r.active.append(text, r.dir); err != nil {
		return err
	}
	r.bytes += size
	return nil
}

func (r *rejects) begin() error {
	if err := makeDir(r.dir); err != nil {
		return err
	}
	made, path, next, err := createNumbered(createFile, r.dir, r.number)
	r.number = next
	if err != nil {
		return err
	}
	r.active = &lineFile{file: made, path: path}
	return nil
}

// scan finds out where to go on.
func (r *rejects) scan(found *Found) {
	entries, err := os.ReadDir(r.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		found.unreadable(r.dir, err)
	}
	for _, entry := range entries {
		number, ok := numberOf(entry.Name())
		if !ok {
			continue
		}
		r.number = max(r.number, number)
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			r.bytes += info.Size()
		}
	}
	r.number++
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
