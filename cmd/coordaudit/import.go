package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit"
)

// importTimeout bounds one batch. A larger one than a decision may wait for: an
// import has time, and a batch that is given up has to be sent again.
const importTimeout = 15 * time.Second

type importCommand struct {
	File     string        `arg:"" help:"JSON Lines, one record a line, keys as in persist_audit_record; - is the standard input."`
	Batch    int           `default:"5000" help:"Lines that are stored in one transaction, 1 to ${max_batch}; fewer where they hold more than 2 MiB."`
	Rejects  string        `placeholder:"FILE" help:"Where refused lines go. Defaults to FILE.rejects.jsonl, for - to import.rejects.jsonl. Made only if needed; one of an earlier run is removed."`
	Patience time.Duration `default:"30s" help:"How long a database that is away is waited for."`
	JSON     bool          `name:"json" help:"Print the summary as one JSON object."`
}

// Validate is called by kong.
func (c *importCommand) Validate() error {
	switch {
	case c.Batch < 1 || c.Batch > coordaudit.MaxBatch:
		return fmt.Errorf("--batch must be 1 to %d", coordaudit.MaxBatch)
	case c.Patience < 0:
		return errors.New("--patience must not be negative")
	}
	return nil
}

// Run is called by kong.
func (c *importCommand) Run(ctx context.Context, p *program, db *database) error {
	tried := "importing " + c.File
	if c.File == "" {
		return usage("importing", errors.New("the file's name is empty"), "give a path, or - for the standard input")
	}
	store, err := db.open(ctx, tried, importTimeout)
	if err != nil {
		return err
	}
	defer store.Close()

	in, err := c.input(ctx, p.stdin)
	if err != nil {
		return &failure{tried: tried, cause: err, next: "check the path"}
	}
	defer in.close()
	rejects, err := newRejects(c.rejectsFile(), in.source)
	if err != nil {
		return err
	}

	started := time.Now()
	im := &importer{
		store:    store,
		lines:    newLineReader(in),
		stopRead: in.close,
		most:     c.Batch,
		rejects:  rejects,
		progress: newProgress(p.stderr, in.size),
		patience: c.Patience,
		warn:     p.warn,
	}
	err = im.run(ctx)
	im.progress.clear()
	err = errors.Join(err, rejects.close())
	if hidden := rejects.count - rejects.shown; hidden > 0 {
		p.warn("… and %s more refused lines", grouped(hidden))
	}
	if err != nil {
		return c.stopped(p, tried, im, err)
	}
	return c.finished(p, im, time.Since(started))
}

// importInput is what is imported.
type importInput struct {
	io.Reader
	source io.Reader // what is behind Reader
	size   int64     // 0 if not known
	close  func()
}

// input opens the file or takes the standard input. What is not a plain file may
// keep a reader waiting for ever, so it is made interruptible.
func (c *importCommand) input(ctx context.Context, stdin io.Reader) (*importInput, error) {
	if c.File == "-" {
		in, stop := interruptible(ctx, stdin)
		return &importInput{Reader: in, source: stdin, close: stop}, nil
	}
	file, err := os.Open(c.File)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = errors.New("it is a directory")
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	closeFile := func() { _ = file.Close() }
	if info.Mode().IsRegular() {
		return &importInput{Reader: file, source: file, size: info.Size(), close: closeFile}, nil
	}
	in, stop := interruptible(ctx, file)
	return &importInput{Reader: in, source: file, close: func() { stop(); closeFile() }}, nil
}

func (c *importCommand) rejectsFile() string {
	switch {
	case c.Rejects != "":
		return c.Rejects
	case c.File == "-":
		return "import.rejects.jsonl"
	default:
		return c.File + ".rejects.jsonl"
	}
}

// stopped reports an import that did not reach the end of its input. Its summary
// is no result, so it goes to the standard error, whatever the form asked for.
func (c *importCommand) stopped(p *program, tried string, im *importer, cause error) error {
	p.warn("so far: %s", im.counts.line())
	again := "run the same command again, nothing is stored twice"
	if errors.Is(cause, errInterrupted) {
		return &failure{tried: tried, cause: cause, next: again}
	}
	return &failure{tried: tried, cause: cause, next: "when that is mended, " + again}
}

func (c *importCommand) finished(p *program, im *importer, took time.Duration) error {
	text, err := im.counts.summary(c.File, took, c.JSON)
	if err != nil {
		return err
	}
	if err := p.print(text); err != nil {
		return err
	}
	if im.counts.Rejected == 0 {
		return nil
	}
	p.warn("coordaudit: importing %s: %s refused, see %s: mend them and import again, nothing is stored twice",
		c.File, plural(im.counts.Rejected, "line"), im.rejects.path)
	return errReported
}

// importCounts counts lines by what became of them, each once. A record that was
// sent again, because its first sending ended in doubt, may count as already persisted.
type importCounts struct {
	Read             int64 `json:"read"` // the sum of the others
	Persisted        int64 `json:"persisted"`
	AlreadyPersisted int64 `json:"already_persisted"`
	Skipped          int64 `json:"skipped"`
	Rejected         int64 `json:"rejected"`
}

func (c importCounts) line() string {
	return fmt.Sprintf("%s read, %s persisted, %s already persisted, %s skipped, %s rejected", plural(c.Read, "line"),
		grouped(c.Persisted), grouped(c.AlreadyPersisted), grouped(c.Skipped), grouped(c.Rejected))
}

func (c importCounts) summary(file string, took time.Duration, asJSON bool) (string, error) {
	if asJSON {
		text, err := json.Marshal(c)
		return string(text) + "\n", err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "imported %s in %.1f s (%s lines/s)\n", file, took.Seconds(), grouped(int64(float64(c.Read)/max(took.Seconds(), 0.001))))
	for _, row := range []struct {
		name  string
		count int64
	}{
		{"read", c.Read},
		{"persisted", c.Persisted},
		{"already persisted", c.AlreadyPersisted},
		{"skipped (replays)", c.Skipped},
		{"rejected", c.Rejected},
	} {
		fmt.Fprintf(&text, "  %-17s  %11s\n", row.name, grouped(row.count))
	}
	return text.String(), nil
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return grouped(n) + " " + noun + "s"
}
