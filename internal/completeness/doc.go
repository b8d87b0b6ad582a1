// Package completeness is the account that sources keep of what they accept. A source numbers
// its records with ordinals, from 1. Its statements say how far it has counted, which ordinals
// will never come, and which ones wait. [Judge] compares the statements with the ordinals that
// rows carry, and says which ordinals are missing without an explanation.
//
// The package knows neither SQL nor files.
package completeness
