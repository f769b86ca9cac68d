// Command probe finds out what of io_uring the running kernel has, by doing it,
// and writes docs/kernels.md from what was found on several:
//
//	probe                 prints what this kernel has
//	probe record FILE...  takes what kernels have out of FILEs, into testdata
//	probe page            writes the page
//
// ../run.sh -probe does all. Record and page run in the root of the module.
//
// A line is a kind, a name of package ring's or uringwake's, "yes", "no" or "?",
// and what it was told by, with tabs between. The names and the first kernels
// that the page claims for them are those of package ring's comments; page writes
// nothing, and exits with 1, if an answer contradicts one.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		r, err := findAll()
		if err == nil {
			fmt.Print(r)
		}
		return err
	}
	switch {
	case args[0] == "record":
		return recordAll(".", args[1:])
	case args[0] == "page" && len(args) == 1:
		text, err := pageOf(".")
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join("docs", "kernels.md"), []byte(text), 0o666)
	}
	return fmt.Errorf("no such command: %q", args)
}

// testdata is where what was found is kept, of each version once.
func testdata(root string) string {
	return filepath.Join(root, "race_test", "kernels", "probe", "testdata")
}

func recordAll(root string, files []string) error {
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		records := read(string(b))
		if len(records) == 0 {
			return fmt.Errorf("%s: nothing was found there", name)
		}
		for _, r := range records {
			to := filepath.Join(testdata(root), r.version().String()+".tsv")
			if err := os.WriteFile(to, []byte(r.String()), 0o666); err != nil {
				return err
			}
		}
	}
	return nil
}

// recorded are all that are kept, oldest first.
func recorded(root string) (all []*record, err error) {
	files, err := filepath.Glob(filepath.Join(testdata(root), "*.tsv"))
	if err == nil && len(files) == 0 {
		err = errors.New("nothing is recorded")
	}
	for _, name := range files {
		b, e := os.ReadFile(name)
		err = errors.Join(err, e)
		all = append(all, read(string(b))...)
	}
	slices.SortFunc(all, func(a, b *record) int { return a.version().compare(b.version()) })
	return all, err
}
