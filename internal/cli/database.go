package cli

import "errors"

// URLVariable names the database. Other users of the machine can read a program's
// arguments, but not its environment.
const URLVariable = "DATABASE_URL"

// DatabaseURL is the URL of the flag, or else that of DATABASE_URL. kong does not read
// the variable, because it would show the value in help texts and messages.
func (p *Program) DatabaseURL(flag string) string {
	if flag != "" {
		return flag
	}
	return p.Env(URLVariable)
}

// CheckDatabase is the rule of both programs. A command that is given no database, or text that
// leads to none, is wrong usage. A database that is away, or refuses the program, is a failure:
// its URL may be right.
func CheckDatabase(tried, url string, parse func(url string) error) error {
	if url == "" {
		return Usage(tried, errors.New("no database is given"), "set "+URLVariable+" or pass --database-url")
	}
	if err := parse(url); err != nil {
		return Misused(tried, err)
	}
	return nil
}

// LoadKey reads a key that the command line names. One that cannot be read, or is no such key,
// is wrong usage: nothing was tried with it.
func LoadKey[Key any](tried, named string, load func(named string) (Key, error)) (Key, error) {
	key, err := load(named)
	if err != nil {
		var none Key
		return none, Usage(tried, err, "")
	}
	return key, nil
}
