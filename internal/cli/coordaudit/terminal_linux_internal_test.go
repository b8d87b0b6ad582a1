package coordaudit

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/test/pty"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// onTerminal is a command of the program for a real terminal. Its environment has no pager.
func onTerminal(t *testing.T, databaseURL string, args ...string) *exec.Cmd {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0], append([]string{"-test.run=^TestMainProgram$", "--"}, args...)...)
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		switch name {
		case "COORDAUDIT_PAGER", "PAGER", "LESS", "LV", "NO_COLOR", "TERM", "COLUMNS":
		default:
			command.Env = append(command.Env, variable)
		}
	}
	command.Env = append(command.Env, processVariable+"=1", "DATABASE_URL="+databaseURL, "TERM=xterm-256color")
	return command
}

func with(command *exec.Cmd, variables ...string) *exec.Cmd {
	command.Env = append(command.Env, variables...)
	return command
}

// plain is a text without its colours.
func plain(text string) string {
	return regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(text, "")
}

// lockedTrail keeps every reader of the records waiting until release is called.
func lockedTrail(t *testing.T, db *testdb.DB) (release func()) {
	t.Helper()
	tx, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	release = func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }
	t.Cleanup(release)
	if _, err := tx.Exec(t.Context(), "LOCK TABLE coordination_audit_records"); err != nil {
		t.Fatal(err)
	}
	return release
}

// What takes longer than two seconds says so on a terminal, and leaves nothing of it behind.
func TestTerminalProgress(t *testing.T) {
	t.Parallel()
	s := newSealing(t, 300)
	s.once(t).mustExit(t, cli.ExitDone)
	id := number(1).String()
	persist(t, s.db, story("acme")...)
	trail := filepath.Join(t.TempDir(), "trail.jsonl")
	if err := os.WriteFile(trail, []byte(lines(1, 3)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	commands := [][]string{
		{"signals", "--all-tenants"},
		{"stats", "--all-tenants"},
		{"list", "--all-tenants"},
		{"timeline", "swing", "--all-tenants"},
		{"get", id, "--all-tenants"},
		{"explain", id, "--all-tenants"},
		{"completeness"},
		{"export", "--all-tenants", "--out", filepath.Join(t.TempDir(), "out.jsonl")},
		{"report", "--all-tenants", "--out", filepath.Join(t.TempDir(), "report.html")},
		{"verify", "--checkpoint", s.exported, "--key", s.public},
		{"prove", id},
		{"import", trail},
	}
	release := lockedTrail(t, s.db)
	terminals := make([]*pty.Terminal, len(commands))
	for i, args := range commands {
		terminals[i] = pty.Start(t, 80, 24, onTerminal(t, s.db.URL, append([]string{"--no-pager"}, args...)...))
	}
	for i, terminal := range terminals {
		terminal.Await("0:02")
		if shown := terminal.Written(); !strings.HasPrefix(shown, "\r") || strings.Contains(shown, "\n") {
			t.Errorf("%s: %q", commands[i][0], shown)
		}
	}
	release()
	for i, terminal := range terminals {
		_, written := terminal.Wait()
		frames := strings.Split(written, "\r")
		for _, frame := range frames[:len(frames)-1] {
			if term.Cells(frame) > 79 || strings.Contains(frame, "\n") {
				t.Errorf("%s: %q", commands[i][0], frame)
			}
		}
		if len(frames) < 3 || strings.TrimSpace(frames[len(frames)-2]) != "" {
			t.Errorf("%s: the line is not erased: %q", commands[i][0], written)
		}
	}
}

// Files, pipes and --json get no progress, however long it takes.
func TestNoProgressElsewhere(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	persist(t, db, story("acme")...)
	release := lockedTrail(t, db)
	errs, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errs.Close() }()
	toFile := onTerminal(t, db.URL, "signals", "--all-tenants", "--since=")
	toFile.Stderr = errs
	terminals := []*pty.Terminal{
		pty.Start(t, 80, 100, toFile),
		pty.Start(t, 80, 100, onTerminal(t, db.URL, "signals", "--all-tenants", "--since=", "--json")),
	}
	piped := make(chan ran, 1)
	go func() { piped <- shell(t, db.URL, "$PROGRAM signals --all-tenants --since= 2>&1 | cat") }()
	time.Sleep(3 * time.Second)
	release()
	for i, terminal := range terminals {
		code, written := terminal.Wait()
		if code != cli.ExitDone || strings.Contains(written, "\r") || written == "" {
			t.Errorf("%d: exit code %d, %q", i, code, written)
		}
	}
	if left, err := os.ReadFile(errs.Name()); err != nil || len(left) > 0 {
		t.Errorf("%q, %v", left, err)
	}
	if got := <-piped; strings.ContainsAny(got.stdout, "\r\x1b") || !strings.Contains(got.stdout, "signals for") {
		t.Errorf("%q", got.stdout)
	}
}

// Tables, charts and texts fit the terminal, also where characters are wide.
func TestTerminalWidth(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	recs := append(unpleasant(), story("温度制御"+strings.Repeat("の部屋", 20))...)
	for i := range recs {
		if i%3 == 0 {
			recs[i].Reason = strings.Repeat("温度 が高い 🔥", 30)
			recs[i].ReasonCode = "ZU_HEISS"
		}
	}
	persist(t, db, recs...)
	envelope := recs[0].EnvelopeID
	page := run(t, db.URL, "", "list", "--all-tenants", "--ids", "--limit=1", "--decision=rejected")
	id := uuids().FindString(page.stdout)
	for _, args := range [][]string{
		{"list", "--all-tenants"},
		{"list", "--all-tenants", "--ids"},
		{"signals", "--all-tenants", "--since=", "--min-cycles=1", "--min-rejections=1", "--min-conflicts=1"},
		{"stats", "--all-tenants"},
		{"timeline", envelope, "--all-tenants"},
		{"completeness"},
		{"gaps"},
		{"get", id, "--all-tenants"},
		{"explain", id, "--all-tenants"},
	} {
		for _, columns := range []int{term.MinColumns, 61, 80, 132} {
			code, written := pty.Start(t, columns, 24, onTerminal(t, db.URL, append([]string{"--no-pager"}, args...)...)).Wait()
			if code != cli.ExitDone {
				t.Fatalf("%v: exit code %d: %s", args, code, written)
			}
			for line := range strings.Lines(plain(written)) {
				line = strings.TrimSuffix(line, "\n")
				if strings.HasPrefix(line, "there are more: ") { // it is to be copied
					continue
				}
				if cells := term.Cells(line); cells > columns {
					t.Errorf("%v, %d columns: %d cells: %q", args, columns, cells, line)
				}
			}
		}
	}
}

// The null device is no terminal: what goes there is not cut, and has no colours.
func TestNullDeviceIsNoTerminal(t *testing.T) {
	t.Parallel()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	p := &cli.Program{Name: "coordaudit", Env: func(string) string { return "" }, Stdout: null, Stderr: null}
	if screen := p.Screen(false); screen.Columns != 0 || screen.Colour {
		t.Errorf("%+v", screen)
	}
}

func TestPager(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	persist(t, db, unpleasant()...)
	list := []string{"list", "--all-tenants", "--limit=60"}
	paged := filepath.Join(t.TempDir(), "paged")
	to := func(file string) string {
		return fmt.Sprintf("cat > %s; printf 'LESS=%%s' \"$LESS\" > %s.env", file, file)
	}
	for name, test := range map[string]struct {
		variables []string
		args      []string
		rows      int
		paged     bool
	}{
		"Own":      {[]string{"COORDAUDIT_PAGER=" + to(paged+"1"), "PAGER=false"}, list, 24, true},
		"Common":   {[]string{"PAGER=" + to(paged+"2")}, list, 24, true},
		"Fits":     {[]string{"PAGER=" + to(paged+"3")}, list, 80, false},
		"NoPager":  {[]string{"PAGER=" + to(paged+"4")}, append(list, "--no-pager"), 24, false},
		"Empty":    {[]string{"COORDAUDIT_PAGER=", "PAGER=" + to(paged+"5")}, list, 24, false},
		"Cat":      {[]string{"PAGER=cat"}, list, 24, false},
		"Dumb":     {[]string{"PAGER=" + to(paged+"6"), "TERM=dumb"}, list, 24, false},
		"JSON":     {[]string{"PAGER=" + to(paged+"7")}, append(list, "--json"), 24, false},
		"Missing":  {[]string{"PAGER=no-such-pager-anywhere"}, list, 24, false},
		"LeavesAt": {[]string{"PAGER=head -c 1 > /dev/null"}, list, 24, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, written := pty.Start(t, 100, test.rows, with(onTerminal(t, db.URL, test.args...), test.variables...)).Wait()
			if code != cli.ExitDone || strings.Contains(strings.ToLower(written), "pipe") {
				t.Errorf("exit code %d: %q", code, written)
			}
			if onScreen := strings.Contains(written, "DECISION") || strings.Contains(written, `"decision"`); onScreen == test.paged {
				t.Errorf("on the screen: %t: %q", onScreen, written)
			}
			if !strings.Contains(written, "there are more: ") && name != "JSON" {
				t.Errorf("the hint for the next page is lost: %q", written)
			}
			if said := strings.Contains(written, "coordaudit: starting the pager no-such-pager-anywhere: "); said != (name == "Missing") {
				t.Errorf("%q", written)
			}
		})
	}
	t.Cleanup(func() {
		for _, file := range []string{paged + "1", paged + "2"} {
			text, err := os.ReadFile(file)
			if err != nil || strings.Count(string(text), "\n") != 61 {
				t.Errorf("the pager read %q, %v", text, err)
			}
			if env, err := os.ReadFile(file + ".env"); err != nil || string(env) != "LESS=FRX" {
				t.Errorf("the pager had %q, %v", env, err)
			}
		}
	})
}

// less is the default. An interrupt belongs to it, and q ends it without an error.
func TestPagerLess(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("less"); err != nil {
		t.Skip("less is not installed")
	}
	db := testdb.New(t)
	persist(t, db, unpleasant()...)
	terminal := pty.Start(t, 100, 24, onTerminal(t, db.URL, "list", "--all-tenants", "--limit=200"))
	terminal.Await("DECISION")
	time.Sleep(300 * time.Millisecond) // less waits for a key now
	first := strings.Count(terminal.Written(), "\n")
	terminal.Type("\x03") // Ctrl-C
	time.Sleep(200 * time.Millisecond)
	terminal.Type("\x03")
	time.Sleep(200 * time.Millisecond)
	terminal.Type(" ")
	for range 500 {
		if strings.Count(terminal.Written(), "\n") > first+10 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	second := strings.Count(terminal.Written(), "\n")
	terminal.Type("q")
	code, written := terminal.Wait()
	if code != cli.ExitDone || first > 30 || second <= first+10 || strings.Count(written, "\n") > 120 {
		t.Errorf("exit code %d, %d and %d lines: %q", code, first, second, written)
	}
	if !strings.Contains(written, "there are more: add ") || strings.Contains(written, "interrupted") {
		t.Errorf("%q", written)
	}
}
