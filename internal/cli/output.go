package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/template"
)

// CheckOut finds out at once what of the flag -out could not be written at the end. An empty
// name is allowed.
func CheckOut(name string) error {
	if name == "" {
		return nil
	}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return fmt.Errorf("-out %q: is a directory", name)
	}
	if _, err := os.Stat(filepath.Dir(name)); err != nil {
		return fmt.Errorf("-out %q: no such directory", name)
	}
	return nil
}

// WritePlot writes an SVG plot to the file with that name, or if that is empty to a temporary one
// that has the program's name in its own. Then it tells where the plot is.
func WritePlot(stdout io.Writer, name, program string, t *template.Template, plot any) error {
	f, err := create(name, program)
	if err != nil {
		return err
	}
	if err := errors.Join(t.Execute(f, plot), f.Close()); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\nplot: %s\n", f.Name())
	return nil
}

func create(name, program string) (*os.File, error) {
	if name == "" {
		return os.CreateTemp("", program+"-*.svg")
	}
	return os.Create(name)
}
