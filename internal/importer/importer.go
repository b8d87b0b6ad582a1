package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/internal/jsonl"
)

// ErrInterrupted says that a signal ended the import in good order.
var ErrInterrupted = errors.New("interrupted")

// Config says what an Importer needs. Every field is required but Rejects.
type Config struct {
	Store    *coordaudit.Store
	Batch    int           // lines in one transaction
	Patience time.Duration // how long to wait for a database that is away
	Reporter Reporter

	// Several names each file in messages and in the file of refused lines.
	Several bool

	// Rejects is where refused lines go. Defaults to a file next to each input.
	Rejects string
}

// Reporter shows a person how an import gets on.
type Reporter interface {
	// Begin starts a file. Its size is 0 if it is not known.
	Begin(size int64)

	// Progress reports how much of the file is stored or refused.
	Progress(bytes, lines int64)

	// Notice shows one line of text.
	Notice(text string)

	// End ends the file that Begin started.
	End()
}

// Importer moves the lines of files to the trail, batch by batch. A line that it has
// counted is stored or refused. A line that it has not counted is untouched.
type Importer struct {
	config  Config
	counts  Counts
	rejects *rejects // of the current file, or of all files
	kept    []string // files of refused lines
	shown   shown
	reached bool // the database has answered
	done    int  // files

	source     *coordaudit.Source // opened with the first batch
	unnumbered bool               // the database refuses statements
}

// shown counts the lines that the Reporter was shown.
type shown struct{ refused, newer int64 }

// New returns an importer that has not started.
func New(config Config) *Importer { return &Importer{config: config} }

// Counts has the lines of all files so far.
func (im *Importer) Counts() Counts { return im.counts }

// Files is how many files were imported to their end.
func (im *Importer) Files() int { return im.done }

// Kept has the files that hold refused lines.
func (im *Importer) Kept() []string { return im.kept }

// NotShown is how many refused lines the Reporter was not shown.
func (im *Importer) NotShown() int64 { return im.counts.Rejected - im.shown.refused }

// NewerNotShown is how many lines of a newer release the Reporter was not shown.
func (im *Importer) NewerNotShown() int64 { return im.counts.Newer - im.shown.newer }

// File imports one file, or the standard input if the name is "-". The error is an
// *OpenError, a *RejectsError or a *ForeignError, or matches ErrInterrupted, or is one
// of the database's.
func (im *Importer) File(ctx context.Context, name string, stdin io.Reader) error {
	in, err := openInput(ctx, name, stdin)
	if err != nil {
		return &OpenError{Err: err}
	}
	defer in.close()
	if im.rejects == nil || im.config.Rejects == "" {
		if im.rejects, err = newRejects(rejectsFile(im.config.Rejects, name), in.source); err != nil {
			return err
		}
	}
	f := &fileImport{all: im, lines: jsonl.NewReader(in), stopRead: in.close, before: im.counts.Read, input: inputName(name)}
	if im.config.Several {
		f.name, f.prefix = name, strings.ReplaceAll(name, "\n", `\n`)+": "
	}
	im.config.Reporter.Begin(in.size)
	err = f.run(ctx)
	im.config.Reporter.End()
	err = errors.Join(err, im.rejects.close())
	if im.rejects.count > 0 && (len(im.kept) == 0 || im.kept[len(im.kept)-1] != im.rejects.path) {
		im.kept = append(im.kept, im.rejects.path)
	}
	if err == nil {
		im.done++
	}
	return err
}

// inputName names an input in a sentence.
func inputName(name string) string {
	if name == "-" {
		return "the standard input"
	}
	return strings.ReplaceAll(name, "\n", `\n`)
}

func rejectsFile(named, file string) string {
	switch {
	case named != "":
		return named
	case file == "-":
		return "import" + RejectsSuffix
	default:
		return file + RejectsSuffix
	}
}

// OpenError says why an input cannot be read at all.
type OpenError struct{ Err error }

func (e *OpenError) Error() string { return e.Err.Error() }

func (e *OpenError) Unwrap() error { return e.Err }

// fileImport is the import of one file.
type fileImport struct {
	all      *Importer
	lines    *jsonl.Reader
	stopRead func() // ends a read that waits for input
	before   int64  // lines of earlier files
	input    string // the file in a sentence
	name     string // of the file, if there are several
	prefix   string // its name in messages, likewise

	accepted *audit.Record // a record that was stored, to check again that the table takes records
}

// run imports until the end of the input, until an error that is not a line's fault, or
// until ctx ends. In the last case it first stores what it has read.
func (f *fileImport) run(ctx context.Context) error {
	input := f.begin(ctx)
	var err error
	for b := range input.parsed {
		if err == nil {
			if err = f.flush(ctx, b); err != nil {
				input.stopped.Store(true)
				f.stopRead()
			}
		}
		input.recycle(b)
	}
	switch {
	case err == nil:
		return input.err
	case errors.Is(input.err, ErrInterrupted):
		return err
	default:
		return errors.Join(err, input.err)
	}
}

// flush finishes a batch as a whole, or leaves it uncounted and says where it begins.
func (f *fileImport) flush(ctx context.Context, b *batch) error {
	loaded, refused, err := f.load(ctx, b)
	if err != nil {
		f.all.giveUp(b)
	}
	f.all.decide(b, refused)
	if err == nil && len(b.replays) > 0 {
		_, err = f.all.config.Store.Replaying().PersistManyFast(ctx, b.replays)
	}
	if err != nil {
		counts := f.all.counts
		return fmt.Errorf("stopped at line %d, %s stored before it: %w", b.lines[0].number, format.Plural(counts.Persisted+counts.AlreadyPersisted, "record"), err)
	}
	if err := f.finish(b, loaded, refused); err != nil {
		return err
	}
	f.remember(b, refused)
	return nil
}

// finish counts the lines and reports the refused ones, in the order of the input.
func (f *fileImport) finish(b *batch, loaded audit.Counts, refused map[int]error) error {
	counts := &f.all.counts
	counts.Read += int64(len(b.lines))
	counts.Persisted += loaded.Persisted
	counts.AlreadyPersisted += loaded.AlreadyPersisted
	counts.Skipped += int64(len(b.replays))
	counts.Rejected += int64(len(b.lines)-len(b.records)-len(b.replays)-b.newer) + loaded.Failed
	counts.Newer += int64(b.newer)
	for _, line := range b.lines {
		if line.newer {
			f.leaveOut(line, b.text[line.start:line.end])
			continue
		}
		faults := line.faults
		if err := refused[line.record]; err != nil {
			faults = format.FaultsOf(err)
		}
		if faults == nil {
			continue
		}
		if err := f.reject(line, b.text[line.start:line.end], faults); err != nil {
			return err
		}
	}
	f.all.config.Reporter.Progress(b.bytes, counts.Read-f.before)
	return f.all.rejects.flush()
}

func (f *fileImport) reject(line batchLine, text []byte, faults []audit.Fault) error {
	reason := format.Faults(faults)
	if f.all.shown.refused < shownRejects {
		f.notice(line.number, reason)
		f.all.shown.refused++
	}
	return f.all.rejects.add(f.name, line.number, reason, faults, text, line.size)
}

// notice shows a text about a line.
func (f *fileImport) notice(line int64, text string) {
	f.all.config.Reporter.Notice(fmt.Sprintf("%sline %d: %s", f.prefix, line, text))
}
