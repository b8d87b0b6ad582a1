package report

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"strings"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

//go:embed report.css report.js *.html.tmpl
var files embed.FS

// page is what the templates read. It has the texts of the trail unchanged: html/template
// escapes them for the place where they appear, and the templates pass them through
// "shown".
type page struct {
	Policy string
	Style  template.CSS
	Script template.JS

	Data
	MinRecords, MinCycles, MinConflicts, MinRejections int64

	States     []state
	Tiles      []tile
	Decisions  []share
	Timing     timing
	Rates      []rate
	Heatmap    heatmap
	LaneViews  []laneView
	Ticks      []tick
	CycleView  cyclesView
	Envelopes  repeated
	Parameters repeated
	Codes      codes
	Shown      int64
	GapRows    []gapRow
	MoreGaps   bool
	Account    account
	Seal       sealed
}

func newPage(data Data) (page, error) {
	style, err := inline("report.css")
	if err != nil {
		return page{}, err
	}
	script, err := inline("report.js")
	if err != nil {
		return page{}, err
	}
	span, account, seal := newSpan(data), newAccount(data), newSealed(data)
	return page{
		Policy:        policy(style, script),
		Style:         template.CSS(style), //nolint:gosec // report.css, which is compiled in
		Script:        template.JS(script), //nolint:gosec // report.js, which is compiled in
		Data:          data,
		MinRecords:    int64(data.Query.MinRecords),
		MinCycles:     int64(data.Query.MinCycles),
		MinConflicts:  int64(data.Query.MinConflicts),
		MinRejections: int64(data.Query.MinRejections),
		Tiles:         tiles(data.Breakdown),
		Decisions:     shares(data.Breakdown),
		Timing:        newTiming(data, span),
		Rates:         rates(data.Signals.RejectionRates),
		Heatmap:       newHeatmap(data.Signals.Friction),
		LaneViews:     laneViews(data.Lanes, span),
		Ticks:         span.ticks(),
		CycleView:     newCyclesView(data.Signals.PreemptionCycles),
		Envelopes:     repeatedEnvelopes(data.Signals.RepeatedRejections),
		Parameters:    repeatedParameters(data.Signals.RepeatedParameterRejections),
		Codes:         reasonCodes(data.Breakdown),
		Shown:         int64(len(data.Latest)),
		GapRows:       gapRows(data.Gaps),
		MoreGaps:      len(data.Gaps) > MaxGaps,
		Account:       account,
		Seal:          seal,
		States:        states(data, account, seal),
	}, nil
}

// inline reads a file that becomes part of the page. A browser hashes the parsed text,
// which has no carriage returns, but a checkout may have added some.
func inline(name string) (string, error) {
	text, err := files.ReadFile(name)
	return strings.ReplaceAll(string(text), "\r\n", "\n"), err
}

// policy forbids everything but the style and the script of the page. Anything that a
// record smuggles in would neither run nor load.
func policy(style, script string) string {
	return fmt.Sprintf("default-src 'none'; style-src %s; script-src %s; base-uri 'none'; form-action 'none'",
		hashSource(style), hashSource(script))
}

func hashSource(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func parseTemplates() (*template.Template, error) {
	return template.New("report").Funcs(template.FuncMap{
		"shown":   shown,
		"clipped": clipped,
		"number":  format.Thousands,
		"plural":  format.Plural,
		"stamp":   stamp,
		"machine": format.Machine,
		"key":     format.ClassKey,
		"verdict": format.DecisionKey,
		"classes": audit.EnvelopeClasses,
		"choices": audit.Decisions,
		"tenant":  format.Tenant,
		"bounds":  bounds,
		"targets": targetText,
		"facts":   factsOf,
	}).ParseFS(files, "*.html.tmpl")
}
