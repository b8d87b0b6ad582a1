package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// comparison is a run: docs/benchmarks-compare.json.
type comparison struct {
	Conditions conditions `json:"conditions"`
	Results    []result   `json:"results"`

	only []string // works; all of them if there are none
}

// result is what one contender did of one work on one table.
type result struct {
	Records        int    `json:"records"` // in the table when the run began
	RowsBefore     int64  `json:"rows_before"`
	Work           string `json:"work"`
	Contender      string `json:"contender"`
	Callers        int    `json:"callers"`
	RecordsPerCall int    `json:"records_per_call"` // written; 0 for reading
	Turns          []turn `json:"turns"`
}

// cost is what a turn is compared by, in µs: a lone caller's median call, and for
// many callers the time that passed for each call.
func (r *result) cost(t turn) float64 {
	if r.Callers == 1 {
		return t.P50
	}
	return t.Seconds * 1e6 / float64(t.Calls)
}

// spread is a median between the lowest and the highest.
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

// ratios compares round by round, so that a slow minute of the machine, which both
// have been in, cancels out.
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

func writeJSON[T comparison | diet](path string, results *T) error {
	text, err := json.MarshalIndent(results, "", " ")
	if err != nil {
		return fmt.Errorf("encoding the results: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil { //nolint:gosec // it is committed for all to read
		return fmt.Errorf("writing the results: %w", err)
	}
	return nil
}

func readJSON(path string) (*comparison, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the committed results: %w", err)
	}
	var c comparison
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, fmt.Errorf("reading the committed results of %s: %w", path, err)
	}
	return &c, nil
}
