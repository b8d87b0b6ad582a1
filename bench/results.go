package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// comparison is a whole run: its conditions and every turn.
type comparison struct {
	Conditions conditions `json:"conditions"`
	Results    []result   `json:"results"`

	only []string // the kinds of work to measure; empty means all
}

// result holds the turns of one contender at one kind of work on one table.
type result struct {
	Records        int    `json:"records"` // in the table at the start of the run
	RowsBefore     int64  `json:"rows_before"`
	Work           string `json:"work"`
	Contender      string `json:"contender"`
	Callers        int    `json:"callers"`
	RecordsPerCall int    `json:"records_per_call"` // written; 0 for reading
	Turns          []turn `json:"turns"`
}

// cost is the figure that turns are compared by, in µs. For a single caller it is the
// median call. For several callers it is the elapsed time divided by the calls.
func (r *result) cost(t turn) float64 {
	if r.Callers == 1 {
		return t.P50
	}
	return t.Seconds * 1e6 / float64(t.Calls)
}

// spread is a median with the lowest and the highest value.
type spread struct{ low, median, high float64 }

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	values = slices.Sorted(slices.Values(values))
	middle := len(values) / 2
	median := values[middle]
	if len(values)%2 == 0 {
		median = (values[middle-1] + median) / 2
	}
	return spread{values[0], median, values[len(values)-1]}
}

func (r *result) costs() spread {
	costs := make([]float64, len(r.Turns))
	for i, t := range r.Turns {
		costs[i] = r.cost(t)
	}
	return spreadOf(costs)
}

// ratios compares round by round. A slow minute of the machine hits both contenders of
// a round, so it cancels out.
func (r *result) ratios(to *result) spread {
	ratios := make([]float64, min(len(r.Turns), len(to.Turns)))
	for i := range ratios {
		ratios[i] = r.cost(r.Turns[i]) / to.cost(to.Turns[i])
	}
	return spreadOf(ratios)
}

// find returns nil if there is none.
func find(results []result, records int, work, contender string) *result {
	for i := range results {
		if r := &results[i]; r.Records == records && r.Work == work && r.Contender == contender {
			return r
		}
	}
	return nil
}

// files are the files that a comparison writes, in the repository or in another directory.
type files struct{ dir string }

func (f files) table() string  { return filepath.Join(f.dir, "docs", "benchmarks-compare.md") }
func (f files) ratios() string { return filepath.Join(f.dir, "bench", "ratios.json") }
func (f files) raw() string    { return filepath.Join(f.dir, "bin", "benchmarks-compare.json") }

func writeJSON(path string, value any) error {
	text, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		return fmt.Errorf("encoding the results: %w", err)
	}
	return writeText(path, append(text, '\n'))
}

func writeText(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // a checkout's directories are readable by all
		return fmt.Errorf("making the results' directory: %w", err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil { //nolint:gosec // the results are committed for all to read
		return fmt.Errorf("writing the results: %w", err)
	}
	return nil
}

func readJSON(path string, value any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, value); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}

// readComparison reads the raw turns of the last run, which are not committed.
func readComparison(path string) (*comparison, error) {
	var c comparison
	if err := readJSON(path, &c); err != nil {
		return nil, fmt.Errorf("reading the raw results of the last run (make bench-compare writes them): %w", err)
	}
	return &c, nil
}
