package cache

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// The folders of what a collection starts from.
const (
	runsFolder = "runs"
	pinsFolder = "pins"
)

// AddRun remembers the folder of a run that uses the store, wherever it lies, as
// a link to it. A run whose folder is removed no longer counts.
func (d *Dir) AddRun(folder string) error {
	target, err := filepath.Abs(folder)
	if err != nil {
		return fmt.Errorf("noting run %s in the cache: %w", folder, err)
	}
	links := filepath.Join(d.root, runsFolder)
	if err := d.makeFolder(links); err != nil {
		return fmt.Errorf("noting run %s in the cache: %w", folder, err)
	}
	err = os.Symlink(target, filepath.Join(links, NewActionID(target).hex()))
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("noting run %s in the cache: %w", folder, err)
	}
	return nil
}

// Runs gives the folders of runs that AddRun was given: those that are there,
// and those that are not, moved perhaps, or on a disk that is not mounted.
func (d *Dir) Runs() (there, gone []string, err error) {
	entries, err := d.listed(runsFolder)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(d.root, runsFolder, e.Name()))
		if err != nil {
			continue // not ours
		}
		switch _, err := os.Stat(target); {
		case err == nil:
			there = append(there, target)
		case errors.Is(err, fs.ErrNotExist):
			gone = append(gone, target)
		default:
			return nil, nil, fmt.Errorf("looking for a run that uses the cache: %w", err)
		}
	}
	return there, gone, nil
}

func (d *Dir) listed(folder string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(filepath.Join(d.root, folder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing the cache's %s: %w", folder, err)
	}
	return entries, nil
}

// A Pin keeps results from being collected until it is removed.
type Pin struct {
	Name    string     `json:"name"`
	Created time.Time  `json:"created"`
	Actions []ActionID `json:"actions"`
}

func (d *Dir) pinPath(name string) string {
	return filepath.Join(d.root, pinsFolder, url.PathEscape(name)+".pin")
}

// PutPin stores a pin, durably, in place of one of the same name.
func (d *Dir) PutPin(p Pin) error {
	body, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("storing pin %s: %w", p.Name, err)
	}
	if err := d.writeEntry(d.pinPath(p.Name), seal("pin", append(body, '\n')), durable); err != nil {
		return fmt.Errorf("storing pin %s: %w", p.Name, err)
	}
	return nil
}

// RemovePin removes a pin; one that is not there is ErrMiss.
func (d *Dir) RemovePin(name string) error {
	err := os.Remove(d.pinPath(name))
	if errors.Is(err, fs.ErrNotExist) {
		return &MissError{"pin " + name, "absent"}
	}
	if err != nil {
		return fmt.Errorf("removing pin %s: %w", name, err)
	}
	return nil
}

// Pins gives all pins. A damaged one is an error, not a miss: what it kept is not
// to be lost with it.
func (d *Dir) Pins() ([]Pin, error) {
	entries, err := d.listed(pinsFolder)
	if err != nil {
		return nil, err
	}
	var pins []Pin
	for _, e := range entries {
		path := filepath.Join(d.root, pinsFolder, e.Name())
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading a pin: %w", err)
		}
		body, err := unseal("pin", content)
		var p Pin
		if err == nil {
			err = json.Unmarshal(body, &p)
		}
		if err != nil {
			return nil, fmt.Errorf("reading pin %s: %w; remove the file and pin again what it kept", path, err)
		}
		pins = append(pins, p)
	}
	return pins, nil
}
