package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/auditadmin"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// Config says what a doctor may look at besides the database. The zero value works.
type Config struct {
	// Schema is the schema that holds the trail. Defaults to the first on the search_path
	// that has one.
	Schema string

	// Spools are directories of Recorders on this machine. Defaults to none.
	Spools []string

	// LastExported returns the last checkpoint that was exported, or nothing if there is
	// none: the method Last of the sealer's exporter. Key is the public key of the log,
	// which signed it. Both default to nil: the exports are not checked.
	LastExported func(context.Context) ([]byte, error)
	Key          note.Verifier

	// DiskFree is the free space of the disk that holds the trail, in bytes. SQL cannot
	// tell. Defaults to 0, unknown.
	DiskFree int64

	// Quick leaves out the checks that read every record. Defaults to false.
	Quick bool
}

// Check is something that a doctor looks at.
type Check struct {
	// Name is the name that findings refer to.
	Name string

	// About says what is looked at, in one sentence without its end.
	About string

	// Worst is the worst severity that the check finds, besides [Unchecked].
	Worst Severity

	// Slow means that the check reads every record, and that [Config.Quick] leaves it out.
	Slow bool
}

// Checks lists the checks, in the order in which they run.
func Checks() []Check {
	var list []Check
	for _, c := range checks() {
		list = append(list, c.Check)
	}
	return list
}

// check is a check with its function. It finds nothing where there is nothing to look at.
type check struct {
	Check
	run func(context.Context, *examination) ([]Finding, error)
}

func checks() []check {
	return []check{
		{Check{"server_version", "the server's major version, and until when it gets fixes", Error, false}, checkVersion},
		{Check{"encoding", "that the encoding of the database is UTF8", Error, false}, checkEncoding},
		{Check{"collation", "whether the collations of the operating system changed under the indexes", Warning, false}, checkCollation},
		{Check{"fsync", "that the server writes to the disk what it acknowledges", Error, false}, checkFsync},
		{Check{"full_page_writes", "that a torn page can be repaired after a crash", Error, false}, checkFullPageWrites},
		{Check{"synchronous_commit", "that commits wait, on the server and by its overrides for roles and databases", Error, false}, checkSynchronousCommit},
		{Check{"standbys", "whether the standbys that commits wait for are there, and what a failover may lose", Error, false}, checkStandbys},
		{Check{"slots", "replication slots that keep WAL for those that do not take it", Error, false}, checkSlots},
		{Check{"guards", "the tables, columns, CHECKs, keys and triggers, as `migrate validate` does", Error, false}, checkGuards},
		{Check{"cluster", "on a Citus cluster: that every node answers, each shard has its triggers and the rights of the roles, no commit is left half done, and the settings fit", Error, false}, checkCluster},
		{Check{"row_security", "that no row-level security is on", Error, false}, checkRowSecurity},
		{Check{"grants", "the rights of roles on the trail, and the members of roles that may change it", Error, false}, checkGrants},
		{Check{"tenant_readers", "the roles of tenant readers, and whether the server keeps its statistics from them", Warning, false}, checkTenantReaders},
		{Check{"roles", "superusers, replication roles and others that no grant stops, and who owns the trail", Warning, false}, checkRoles},
		{Check{"duties", "roles that may both store and remove records, or remove them and release holds", Warning, false}, checkDuties},
		{Check{"sequences", "cache, position and exhaustion of the sequences", Error, false}, checkSequences},
		{Check{"indexes", "invalid and bloated indexes, and what a REINDEX would free", Error, false}, checkIndexes},
		{Check{"fence", "long and prepared transactions that hold up sealing and following", Warning, false}, checkFence},
		{Check{"gaps", "the records that were dropped, as gaps on record say", Warning, false}, checkGaps},
		{Check{"ordinals", "ordinals that were given, are not stored, and that nothing explains", Error, true}, checkOrdinals},
		{Check{"sources", "sources that never closed, and records that wait in their spools", Warning, true}, checkSources},
		{Check{"seal_lag", "how long the oldest row has waited to be sealed", Warning, false}, checkSealLag},
		{Check{"seal_key", "how long the sealer has used its key", Notice, false}, checkSealKey},
		{Check{"export", "the age of the last exported checkpoint, and that the log has not gone back behind it", Error, false}, checkExport},
		{Check{"spool", "the spool directories that are given", Error, false}, checkSpools},
		{Check{"pooler", "whether a pooler shares one backend between connections", Warning, false}, checkPooler},
		{Check{"clock", "the clocks of this machine, the server and the services", Warning, false}, checkClock},
		{Check{"statistics", "whether the planner's statistics are of today's rows", Warning, false}, checkStatistics},
		{Check{"autovacuum", "that autovacuum is on, for the server and for each table", Warning, false}, checkAutovacuum},
		{Check{"wraparound", "how many transactions are left before the server stops writing", Error, false}, checkWraparound},
		{Check{"growth", "how much the trail grows a day, and when the disk is full at this rate", Error, false}, checkGrowth},
	}
}

// limits are the bounds beyond which a check finds something.
type limits struct {
	fence, lag, export, spool, silence, keyAge, recentGap time.Duration
	prepared                                              time.Duration
	skew                                                  time.Duration
	answer, slowAnswer                                    time.Duration // of a check, and of one that reads every record
	usedSequence, failSequence                            float64       // shares of a sequence that are used
	slotBytes                                             int64
	bloatBytes                                            int64
	bloat                                                 float64 // size by expected size
	changedRows                                           int64
	changedShare                                          float64
	freezeFactor                                          float64 // of autovacuum_freeze_max_age
	failAge                                               int64   // the age in transactions that is an error
	daysWarning, daysError                                float64
}

func defaultLimits() limits {
	const day = 24 * time.Hour
	return limits{
		fence: time.Minute, lag: time.Hour, export: time.Hour, spool: 10 * time.Minute, silence: day, keyAge: 400 * day, recentGap: 7 * day,
		prepared: 2 * time.Minute, // Citus completes them once a minute
		skew:     time.Second,
		answer:   5 * time.Minute, slowAnswer: time.Hour,
		usedSequence: 0.5, failSequence: 0.9,
		slotBytes:  1 << 30,
		bloatBytes: 64 << 20, bloat: 1.7,
		changedRows: 10_000, changedShare: 0.5,
		freezeFactor: 2, failAge: 1_500_000_000,
		daysWarning: 30, daysError: 7,
	}
}

// Diagnose runs every check and returns what they found, the worst first. An error means
// that nothing could be examined: the database cannot be reached, or ctx has ended.
func Diagnose(ctx context.Context, pool *pgxpool.Pool, config Config) ([]Finding, error) {
	if (config.LastExported == nil) != (config.Key == nil) {
		return nil, errors.New(doing + ": the exported checkpoints and the key of the log are needed together: set Config.LastExported and Config.Key")
	}
	x := &examination{pool: pool, config: config, limits: defaultLimits(), now: time.Now}
	begin, cancel := context.WithTimeout(ctx, x.limits.answer)
	defer cancel()
	if err := x.begin(begin); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return x.diagnose(ctx, checks())
}

const doing = "examining the trail"

func (x *examination) diagnose(ctx context.Context, list []check) ([]Finding, error) {
	var findings []Finding
	for _, c := range list {
		if c.Slow && x.config.Quick {
			continue
		}
		found, err := x.perform(ctx, c)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s: %w", doing, context.Cause(ctx))
		}
		if err != nil {
			found = append(found, unchecked(err))
		}
		for _, f := range found {
			f.Check = c.Name
			findings = append(findings, f.printable())
		}
	}
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Compare(slices.Index(Severities(), a.Severity), slices.Index(Severities(), b.Severity))
	})
	return findings, nil
}

// perform bounds a check: a server that answers no more would keep it waiting forever.
func (x *examination) perform(ctx context.Context, c check) ([]Finding, error) {
	patience := x.limits.answer
	if c.Slow {
		patience = x.limits.slowAnswer
	}
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	found, err := c.run(bounded, x)
	if err != nil && bounded.Err() != nil {
		err = fmt.Errorf("no answer for %s", format.Age(patience))
	}
	return found, err
}

// unchecked is the finding of a check that could not be done.
func unchecked(err error) Finding {
	f := Finding{Severity: Unchecked, Object: "this check", Evidence: "not done: " + err.Error(), Repair: "fix the cause, and run it again"}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		f.Evidence = fmt.Sprintf("not done: %s (SQLSTATE %s)", pgErr.Message, pgErr.Code)
		switch {
		case pgErr.Code == "42501":
			f.Repair = "run it as the owner of the tables that is a member of pg_monitor: GRANT pg_monitor TO ROLE;"
		case strings.HasPrefix(pgErr.Code, "22"), strings.HasPrefix(pgErr.Code, "23"): // the message quotes values
			f.Evidence = "not done: SQLSTATE " + pgErr.Code
		}
	}
	return f
}

// differences returns what [auditadmin.Check] found about objects of the given kinds, or
// if others is set, of all kinds but these.
func (x *examination) differences(ctx context.Context, others bool, kinds ...string) ([]Finding, error) {
	if !x.compared {
		x.found, x.compareErr = x.compare(ctx)
		x.compared = true
	}
	if x.compareErr != nil && !others { // the guards report it
		return nil, nil
	}
	if x.compareErr != nil {
		return nil, x.compareErr
	}
	var list []Finding
	for _, d := range x.found {
		kind, _, _ := strings.Cut(d.Object, " ")
		if slices.Contains(kinds, kind) != others {
			list = append(list, newFinding(d))
		}
	}
	return list, nil
}

func (x *examination) compare(ctx context.Context) ([]auditadmin.Difference, error) {
	conn, err := x.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer closeConn(ctx, conn)
	return auditadmin.Check(ctx, conn)
}

// newFinding translates a difference.
func newFinding(d auditadmin.Difference) Finding {
	f := Finding{Object: d.Object, Evidence: d.Got, Repair: d.Repair}
	switch d.Severity {
	case auditadmin.Error:
		f.Severity = Error
	case auditadmin.Unchecked:
		f.Severity = Unchecked
	default:
		f.Severity = Notice
	}
	if d.Want != "" {
		f.Evidence += ", want " + d.Want
	}
	if d.Automatic && d.Repair != "migrate repair" {
		f.Repair = "migrate repair, which runs: " + d.Repair
	}
	return f
}

// checkGuards leaves out what other checks report.
func checkGuards(ctx context.Context, x *examination) ([]Finding, error) {
	return x.differences(ctx, true, "database", "sequence", "index", "privileges", "role", "schema", "row-level")
}
