package migrate

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditadmin/doctor"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/dsn"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

const doingDoctor = "examining the trail"

type doctorCommand struct {
	Spool       []string `name:"spool" placeholder:"DIR" help:"The spool directory of a Recorder on this machine. May be repeated."`
	Checkpoints string   `name:"checkpoints" placeholder:"DIR" help:"The directory to which the sealer exports checkpoints. Needs --key."`
	Key         string   `name:"key" placeholder:"FILE" help:"The public key of the log, which signed the checkpoints."`
	DiskFree    byteSize `name:"disk-free" placeholder:"BYTES" help:"The free space of the disk of the trail, such as 500GiB, which the server cannot tell: df --output=avail -B1 DIR."`
	Quick       bool     `name:"quick" help:"Leave out the checks that read every record."`
}

// Run examines the trail, and fails if a check finds an error.
func (c *doctorCommand) Run(a *app) error {
	config, err := c.config(a)
	if err != nil {
		return err
	}
	var poolConfig *pgxpool.Config
	err = cli.CheckDatabase(reading, a.databaseURL(), func(url string) (err error) {
		poolConfig, err = dsn.Parse(url, pgxpool.ParseConfig)
		return err
	})
	if err != nil {
		return err
	}
	if poolConfig.ConnConfig.RuntimeParams["application_name"] == "" {
		poolConfig.ConnConfig.RuntimeParams["application_name"] = "coordaudit-doctor"
	}
	pool, err := pgxpool.NewWithConfig(a.ctx, poolConfig)
	if err != nil {
		return fmt.Errorf("%s: %w", doingDoctor, err)
	}
	defer pool.Close()
	findings, err := doctor.Diagnose(a.ctx, pool, config)
	if errors.Is(err, audit.ErrUnavailable) {
		return &cli.ShownError{Cause: err, Next: "check host and port in the database URL and that the server runs, or wait for it (migrate wait)"}
	}
	if err != nil {
		return err
	}
	result := newDoctorResult(findings, c.Quick)
	if err := show(a, result); err != nil {
		return err
	}
	return result.err()
}

func (c *doctorCommand) config(a *app) (doctor.Config, error) {
	config := doctor.Config{Schema: a.grammar.Schema.name, Spools: c.Spool, DiskFree: int64(c.DiskFree), Quick: c.Quick}
	if (c.Checkpoints == "") != (c.Key == "") {
		return config, cli.Usage(reading, errors.New("--checkpoints and --key need each other"), "give the public key of the log, which seal keygen wrote next to the private one")
	}
	if c.Key == "" {
		return config, nil
	}
	var err error
	if config.Key, err = cli.LoadKey(reading, c.Key, seal.LoadVerifier); err != nil {
		return config, err
	}
	config.LastExported = sealer.Directory(c.Checkpoints).Last
	return config, nil
}

// byteSize is a number of bytes, with a unit or without.
type byteSize int64

// Decode reads 500GiB, 1.5TB or a plain number.
func (b *byteSize) Decode(ctx *kong.DecodeContext) error {
	text, ok := ctx.Scan.Pop().Value.(string)
	units := map[string]float64{
		"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
	}
	digits := strings.TrimRight(text, "bBkKmMgGtTiI ")
	unit, known := units[strings.ToLower(strings.TrimSpace(text[len(digits):]))]
	number, err := strconv.ParseFloat(digits, 64)
	if !ok || err != nil || !known || !(number > 0) || number*unit >= math.MaxInt64 {
		return errors.New("it needs a number of bytes, such as 500GiB or 536870912000")
	}
	*b = byteSize(number * unit)
	return nil
}

type doctorFinding struct {
	Check    string          `json:"check"`
	Severity doctor.Severity `json:"severity"`
	Object   string          `json:"object"`
	Evidence string          `json:"evidence"`
	Repair   string          `json:"repair,omitempty"`
}

type doctorResult struct {
	Healthy  bool            `json:"healthy"` // no error
	Checks   []string        `json:"checks"`
	Findings []doctorFinding `json:"findings"`
	counts   map[doctor.Severity]int
}

func newDoctorResult(findings []doctor.Finding, quick bool) doctorResult {
	result := doctorResult{Checks: []string{}, Findings: make([]doctorFinding, len(findings)), counts: map[doctor.Severity]int{}}
	for _, check := range doctor.Checks() {
		if !quick || !check.Slow {
			result.Checks = append(result.Checks, check.Name)
		}
	}
	for i, f := range findings {
		result.Findings[i] = doctorFinding(f)
		result.counts[f.Severity]++
	}
	result.Healthy = result.counts[doctor.Error] == 0
	return result
}

// String is a paragraph for each finding, the worst first, and a summary.
func (r doctorResult) String() string { return r.on(term.Screen{}) }

func (r doctorResult) on(screen term.Screen) string {
	var text strings.Builder
	for _, f := range r.Findings {
		text.WriteString(screen.Hang("", fmt.Sprintf("%s: %s: %s", f.Severity, f.Check, f.Object)))
		text.WriteString(screen.Hang("  is      ", f.Evidence))
		if f.Repair != "" {
			text.WriteString(screen.Hang("  repair  ", f.Repair))
		}
	}
	return text.String() + screen.Hang("", r.summary())
}

func (r doctorResult) summary() string {
	var parts []string
	for _, severity := range doctor.Severities() {
		if n := r.counts[severity]; n > 0 && severity != doctor.Unchecked {
			parts = append(parts, format.Plural(int64(n), string(severity)))
		}
	}
	if n := r.counts[doctor.Unchecked]; n > 0 {
		parts = append(parts, fmt.Sprintf("%d not checked", n))
	}
	of := " of " + format.Plural(int64(len(r.Checks)), "check")
	if len(parts) == 0 {
		return "healthy: nothing found by " + format.Plural(int64(len(r.Checks)), "check")
	}
	verdict := "healthy: "
	if !r.Healthy {
		verdict = "not healthy: "
	}
	return verdict + strings.Join(parts, ", ") + of
}

func (r doctorResult) err() error {
	if r.Healthy {
		return nil
	}
	var checks []string
	for _, f := range r.Findings {
		if f.Severity == doctor.Error && !slices.Contains(checks, f.Check) {
			checks = append(checks, f.Check)
		}
	}
	return fmt.Errorf("%s: %s found (%s): do what the list says", doingDoctor, format.Plural(int64(r.counts[doctor.Error]), "error"), strings.Join(checks, ", "))
}
