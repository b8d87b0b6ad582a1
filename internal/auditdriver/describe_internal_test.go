package auditdriver

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit/audit"
)

type slowError struct{ error }

func (slowError) Timeout() bool   { return true }
func (slowError) Temporary() bool { return true }

// A failure is described in one line that says what happened, and quotes neither a row nor an argument.
func TestFailureIsDescribed(t *testing.T) {
	t.Parallel()
	const secret = "the reason of a record"
	pg := func(code string) error { return &pgconn.PgError{Code: code, Message: secret} }
	canceled := context.Canceled
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"Server":             {&pgconn.PgError{Code: "40001", Message: "could not serialize"}, "could not serialize (SQLSTATE 40001)"},
		"DataException":      {pg("22001"), "SQLSTATE 22001"},
		"PLpgSQL":            {pg("P0001"), "SQLSTATE P0001"},
		"Wrapped":            {fmt.Errorf("%s: %w", secret, pg("22P02")), "SQLSTATE 22P02"},
		"Deadline":           {fmt.Errorf("%s: %w", secret, context.DeadlineExceeded), "context deadline exceeded"},
		"Canceled":           {fmt.Errorf("%s: %w", secret, canceled), "context canceled"},
		"GivenUp":            {fmt.Errorf("%s: %w", secret, net.ErrClosed), "the connection was given up, the server did not answer"},
		"Network":            {fmt.Errorf("%s: %w", secret, slowError{errors.New("i/o timeout")}), "i/o timeout"},
		"End":                {fmt.Errorf("%s: %w", secret, io.EOF), "the server closed the connection"},
		"EndWithin":          {fmt.Errorf("%s: %w", secret, io.ErrUnexpectedEOF), "the server closed the connection"},
		"Scan":               {pgx.ScanArgError{ColumnIndex: 2, FieldName: "reason", Err: errors.New(secret)}, "the server's answer cannot be read: column reason has another type or a value that has no place in a record"},
		"Columns":            {errColumns, "the answer has another number of columns"},
		"NoTrail":            {errNoTrail, errNoTrail.Error()},
		"TwoTrails":          {&twoTrailsError{"a", "b"}, `there are two trails: the session's search_path leads to schema "a", its default to schema "b": set Config.Schema to the right one`},
		"Own":                {errHasRules, string(errHasRules)},
		"TxClosed":           {pgx.ErrTxClosed, "tx is closed"},
		"Unknown":            {errors.New(secret), "the client failed with an error of type *errors.errorString, whose text may quote a row: unwrap it to read it"},
		"UnknownWithin":      {fmt.Errorf("%s: %w", secret, errors.New(secret)), "the client failed with an error of type *errors.errorString, whose text may quote a row: unwrap it to read it"},
		"JoinedWithin":       {fmt.Errorf("%s: %w", secret, errors.Join(io.EOF, canceled)), "context canceled"},
		"Argument":           {errors.New("failed to encode args[12]: " + secret), "argument 12 (counted from 0) does not fit its column: was the column's type changed? (run migrate validate)"},
		"ArgumentWithin":     {fmt.Errorf("%s: %w", secret, errors.New("failed to encode args[0]: "+secret)), "argument 0 (counted from 0) does not fit its column: was the column's type changed? (run migrate validate)"},
		"NoArgument":         {errors.New("failed to encode args[x]: " + secret), "the client failed with an error of type *errors.errorString, whose text may quote a row: unwrap it to read it"},
		"EmptyArgument":      {errors.New("failed to encode args[]: " + secret), "the client failed with an error of type *errors.errorString, whose text may quote a row: unwrap it to read it"},
		"UnclosedArgument":   {errors.New("failed to encode args[1"), "the client failed with an error of type *errors.errorString, whose text may quote a row: unwrap it to read it"},
		"Joined":             {errors.Join(io.EOF, context.Canceled), "the server closed the connection; context canceled"},
		"JoinedTwice":        {errors.Join(context.Canceled, nil, context.Canceled), "context canceled"},
		"JoinedWithServer":   {errors.Join(pg("22001"), context.Canceled), "SQLSTATE 22001"},
		"ControlCharacters":  {&pgconn.PgError{Code: "40001", Message: "a\nb\x1b"}, `a\nb\x1b (SQLSTATE 40001)`},
		"UnconfirmedOutcome": {&unconfirmedError{io.EOF}, (&unconfirmedError{io.EOF}).Error()},
	} {
		if got := describe(test.err); got != test.want || strings.Contains(got, secret) {
			t.Errorf("%s is described as %q, want %q", name, got, test.want)
		}
	}
}

// A server's message may have any length. The first 300 characters of it are shown.
func TestDescriptionIsShort(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("ä", maxDescription)
	for text, want := range map[string]string{longest: longest, longest + "ö": longest + "…", "": ""} {
		if got := brief(text); got != want {
			t.Errorf("%d characters become %d", len([]rune(text)), len([]rune(got)))
		}
	}
}

// What several attempts to connect met is shown once each, on one line.
func TestConnectErrorIsBrief(t *testing.T) {
	t.Parallel()
	_, err := pgconn.Connect(t.Context(), "postgres://user:secret@127.0.0.1:1/none?sslmode=prefer")
	connectErr, ok := errors.AsType[*pgconn.ConnectError](err)
	if !ok {
		t.Fatalf("%T: %v", err, err)
	}
	text := describe(fmt.Errorf("wrapped: %w", err))
	if strings.Contains(text, "secret") || strings.ContainsAny(text, "\n\t") || strings.Count(text, "connection refused") != 1 || !strings.HasPrefix(text, "failed to connect to `user=user database=none`: ") {
		t.Errorf("described as %q", text)
	}
	if again := describeConnect(connectErr); again != text {
		t.Errorf("alone it is described as %q", again)
	}
}

// An error names its kind, its cause and what to do about it, in this order.
func TestStatementErrorNamesNextStep(t *testing.T) {
	t.Parallel()
	pg := func(code, routine string) error { return &pgconn.PgError{Code: code, Message: "no", Routine: routine} }
	for name, test := range map[string]struct {
		err  StatementError
		want string
	}{
		"NoCause":     {StatementError{Kind: audit.ErrRefused}, audit.ErrRefused.Error()},
		"NoStep":      {StatementError{Kind: audit.ErrRefused, SQLState: "23514", cause: pg("23514", "")}, audit.ErrRefused.Error() + ": no (SQLSTATE 23514)"},
		"OwnStep":     {StatementError{Kind: audit.ErrRefused, SQLState: "42P01", cause: pg("42P01", ""), step: "do this"}, audit.ErrRefused.Error() + ": no (SQLSTATE 42P01): do this"},
		"NoTable":     {StatementError{Kind: audit.ErrRefused, SQLState: "42P01", cause: pg("42P01", "")}, "run the migrations (migrate up) and check the search_path"},
		"NoColumn":    {StatementError{Kind: audit.ErrRefused, SQLState: "42703", cause: pg("42703", "")}, "run the migrations (migrate up) and check the search_path"},
		"NoSchema":    {StatementError{Kind: audit.ErrRefused, SQLState: "3F000", cause: pg("3F000", "")}, "run the migrations (migrate up) and check the search_path"},
		"NoRight":     {StatementError{Kind: audit.ErrRefused, SQLState: "42501", cause: pg("42501", "aclcheck_error")}, "(migrate grants --writer ROLE --apply)"},
		"Policy":      {StatementError{Kind: audit.ErrRefused, SQLState: "42501", cause: pg("42501", "ExecWithCheckOptions"), step: "do this"}, "row-level security off (ALTER TABLE … DISABLE ROW LEVEL SECURITY)"},
		"NotAPolicy":  {StatementError{Kind: audit.ErrRefused, SQLState: "23514", cause: pg("23514", "ExecWithCheckOptions"), step: "do this"}, ": do this"},
		"Parameter":   {StatementError{Kind: audit.ErrRefused, SQLState: "42704", cause: pg("42704", "")}, "correct or remove this parameter in the database URL, or in its options"},
		"Standby":     {StatementError{Kind: audit.ErrRefused, SQLState: "25006", cause: pg("25006", "")}, "connect to the primary"},
		"Pooler":      {StatementError{Kind: audit.ErrRefused, SQLState: "42P05", cause: pg("42P05", "")}, "set default_query_exec_mode=cache_describe (or exec)"},
		"PoolerAgain": {StatementError{Kind: audit.ErrRefused, SQLState: "26000", cause: pg("26000", "")}, "set default_query_exec_mode=cache_describe (or exec)"},
	} {
		if got := test.err.Error(); !strings.HasPrefix(got, audit.ErrRefused.Error()) || !strings.HasSuffix(got, test.want) || strings.HasSuffix(got, ": ") {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	if limit := (&StatementError{Kind: audit.ErrLimit, cause: io.EOF}); !errors.Is(limit, audit.ErrUnavailable) || !errors.Is(limit, io.EOF) {
		t.Error("a limit is not also an outage of the moment, or hides its cause")
	}
	if refused := (&StatementError{Kind: audit.ErrRefused, cause: io.EOF}); errors.Is(refused, audit.ErrUnavailable) || !errors.Is(refused, io.EOF) {
		t.Error("a refusal is an outage, or hides its cause")
	}
}

// Who may not read gets to know what to grant: the table that the server names, else all of them.
func TestDeniedReadNamesTable(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"permission denied for table coordination_audit_gaps":             "grant this role SELECT on coordination_audit_gaps",
		"keine Berechtigung für Tabelle coordination_audit_seal_tiles":    "grant this role SELECT on coordination_audit_seal_tiles",
		"permission denied for table coordination_audit_seal_checkpoints": "grant this role SELECT on coordination_audit_seal_checkpoints",
		"permission denied for table coordination_audit_seal_events":      "grant this role SELECT on coordination_audit_seal_events",
		"permission denied for table coordination_audit_statements":       "grant this role SELECT on coordination_audit_statements",
		"permission denied for table coordination_audit_records":          "grant this role SELECT on coordination_audit_records",
		"permission denied for table coordination_audit_records_102008":   "grant this role SELECT on coordination_audit_records",
		"permission denied for sequence coordination_audit_gaps_seq_seq":  "grant this role SELECT on sequence coordination_audit_gaps_seq_seq",
		"permission denied for function coordination_audit_place_hold":    "grant this role EXECUTE on function coordination_audit_place_hold",
		"permission denied for function pg_logical_emit_message":          "grant this role EXECUTE on function pg_logical_emit_message(boolean, text, text)",
		"permission denied for schema public": "grant this role SELECT on coordination_audit_records, coordination_audit_gaps and " +
			"coordination_audit_statements, and USAGE on their schema",
	} {
		got := rightsStep(&pgconn.PgError{Code: stateInsufficientPrivilege, Message: message}, ReaderRights())
		got, _, _ = strings.Cut(got, " (migrate grants --reader ROLE --apply")
		if got != want {
			t.Errorf("%s: %s, want %s", message, got, want)
		}
	}
	for code, want := range map[string]string{"57014": "raise statement_timeout", "53400": "temp_file_limit", "42P01": "run the migrations"} {
		if got := nextReadStep(code); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", code, got, want)
		}
	}
}

// A record whose text was erased is the same record if the digest is that of the text.
func TestErasedTextIsCompared(t *testing.T) {
	t.Parallel()
	id := uuid.New()
	digest := func(column, text string) []byte {
		sum := sha256.Sum256(append(append([]byte("coordaudit "+column+"\x00"), id[:]...), text...))
		return sum[:]
	}
	for name, test := range map[string]struct {
		text   string
		digest []byte
		want   bool
	}{
		"SameText":      {"a reason", digest("reason", "a reason"), true},
		"OtherText":     {"another", digest("reason", "a reason"), false},
		"OtherColumn":   {"a reason", digest("details", "a reason"), false},
		"NotErased":     {"a reason", nil, false},
		"NoText":        {"", digest("reason", ""), false},
		"DigestOfOther": {"a reason", []byte("short"), false},
	} {
		if got := isErased(id, "reason", test.text, test.digest); got != test.want {
			t.Errorf("%s: %t, want %t", name, got, test.want)
		}
	}
}

// What could not be confirmed stays in doubt, regardless of what the server says of the confirming statement.
func TestUnconfirmedStaysInDoubt(t *testing.T) {
	t.Parallel()
	for code, retryable := range map[string]bool{"": true, "40001": true, "42501": false, "23514": false} {
		cause := io.EOF
		if code != "" {
			cause = &pgconn.PgError{Code: code, Message: "no"}
		}
		err := unconfirmed(t.Context(), &unconfirmedError{cause})
		failure, ok := errors.AsType[*StatementError](err)
		if !ok || !errors.Is(err, audit.ErrOutcomeUnknown) || failure.SQLState != code || failure.Retryable != retryable || !errors.Is(err, cause) {
			t.Errorf("%q: %+v", code, err)
		}
		if named := strings.Contains(err.Error(), "EXECUTE on function pg_logical_emit_message"); named != (code == "42501") {
			t.Errorf("%q: %v", code, err)
		}
	}
	ended, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the caller's reason")
	cancel(why)
	if err := unconfirmed(ended, &unconfirmedError{io.EOF}); !errors.Is(err, why) {
		t.Errorf("%v hides why the call ended", err)
	}
}
