package main

import (
	"errors"
	"fmt"
	"math"
)

// ratios are the few results that are committed: bench/ratios.json. The check
// compares with them. The raw turns of a run stay in bin.
type ratios struct {
	Date       string  `json:"date"`
	Machine    string  `json:"machine"`
	Go         string  `json:"go"`
	PostgreSQL string  `json:"postgresql"`
	Ratios     []ratio `json:"ratios"`
}

// ratio compares one contender with bare pgx.
type ratio struct {
	ratioKey
	Ratio float64 `json:"times_bare_pgx"`
}

// ratioKey names a ratio: a contender's work on a table of that many records.
type ratioKey struct {
	Records   int    `json:"records"`
	Work      string `json:"work"`
	Contender string `json:"contender"`
}

func (k ratioKey) String() string {
	return fmt.Sprintf("%s, %s, %s records", k.Contender, k.Work, thousands(int64(k.Records)))
}

// watched names the ratios that must not get worse: writes into an empty table, and
// a page of a table with records. The order is that of the comparison, so that the
// table has about the same length.
func watched(records int) []ratioKey {
	return []ratioKey{
		{0, insertName(1), ours},
		{0, insertName(16), oursRecord},
		{0, insertInTx, ours},
		{0, batchName(1000), ours},
		{records, firstPage, ours},
	}
}

// ratiosOf takes the watched ratios from a comparison, as far as it has them.
func ratiosOf(c *comparison) *ratios {
	found := &ratios{Date: c.Conditions.Date, Machine: c.Conditions.Machine, Go: c.Conditions.Go, PostgreSQL: c.Conditions.PostgreSQL}
	smallest := 0
	for _, records := range sizes(c) {
		if records > 0 && (smallest == 0 || records < smallest) {
			smallest = records
		}
	}
	for _, k := range watched(smallest) {
		if r, err := ratioIn(c.Results, k); err == nil {
			found.Ratios = append(found.Ratios, ratio{k, math.Round(r*1000) / 1000})
		}
	}
	return found
}

func ratioIn(results []result, k ratioKey) (float64, error) {
	r, to := find(results, k.Records, k.Work, k.Contender), find(results, k.Records, k.Work, bare)
	if r == nil || to == nil || len(r.Turns) == 0 {
		return 0, fmt.Errorf("comparing %s: it was not measured", k)
	}
	return r.ratios(to).median, nil
}

func (r *ratios) of(k ratioKey) (float64, error) {
	for _, known := range r.Ratios {
		if known.ratioKey == k {
			return known.Ratio, nil
		}
	}
	return 0, fmt.Errorf("comparing %s: there is no committed ratio", k)
}

// smallestTable returns the size of the table that the reads were measured on.
func (r *ratios) smallestTable() (int, error) {
	for _, known := range r.Ratios {
		if known.Records > 0 {
			return known.Records, nil
		}
	}
	return 0, errors.New("there is no ratio of a table with records: run compare with --records 0,100000")
}

func readRatios(path string) (*ratios, error) {
	var r ratios
	if err := readJSON(path, &r); err != nil {
		return nil, fmt.Errorf("reading the committed ratios: %w", err)
	}
	return &r, nil
}
