package builtin

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
)

// resumed are the features of every picture, [n, projection], not normalised. Those of each batch are kept in a file of
// the stage's partial work: a killed stage goes on after its last batch. A picture's features do not depend on the batch
// that it is in, so the end is the same.
func (e *encoding) resumed(ctx context.Context, p *pictureSet, name string) ([]float32, error) {
	dir, err := e.env.Host.Partial(false)
	if err != nil {
		return nil, err
	}
	kept, err := openBatches(filepath.Join(dir, name), len(p.Labels))
	if err != nil {
		return nil, err
	}
	defer kept.file.Close()
	if kept.rows > 0 {
		e.env.Log.Info().Int("pictures", kept.rows).Int("of", len(p.Labels)).Msg("going on after the last batch")
	}
	begin := kept.rows
	e.env.Host.Progress(begin, len(p.Labels), "pictures")
	err = e.encode(ctx, p, p.all()[begin:], nil, func(features []float32, done int) error {
		if err := kept.add(features, begin+done-kept.rows); err != nil {
			return fmt.Errorf("keeping the features of a batch: %w", err)
		}
		e.env.Host.Progress(kept.rows, len(p.Labels), "pictures")
		return nil
	})
	return kept.values, err
}

// batchFile is a file of batches of rows. Each is a frame: a head, then the values.
type batchFile struct {
	file   *os.File
	rows   int
	values []float32
}

// frameHead is how many rows and values a frame has, and the CRC-32 of these and the values' bytes.
type frameHead struct{ Rows, Values, Sum uint32 }

func (h frameHead) sum(values []byte) uint32 {
	numbers := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, h.Rows), h.Values)
	return crc32.Update(crc32.ChecksumIEEE(numbers), crc32.IEEETable, values)
}

// openBatches opens a file of batches, a new one where there is none. What follows the last whole frame is cut off; a file
// of more than limit rows is not ours, and begun anew.
func openBatches(path string, limit int) (*batchFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("opening what is kept of a killed stage: %w", err)
	}
	b := &batchFile{file: f}
	whole, err := b.read()
	if b.rows > limit {
		b.rows, b.values, whole = 0, nil, 0
	}
	if err == nil {
		err = f.Truncate(whole)
	}
	if err == nil {
		_, err = f.Seek(whole, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading what is kept of a killed stage: %w", err), f.Close())
	}
	return b, nil
}

// read reads the whole frames, and returns where they end.
func (b *batchFile) read() (end int64, err error) {
	content, err := io.ReadAll(b.file)
	if err != nil {
		return 0, err
	}
	for r := bytes.NewReader(content); ; end = int64(len(content) - r.Len()) {
		var head frameHead
		if binary.Read(r, binary.LittleEndian, &head) != nil || int64(head.Values)*4 > int64(r.Len()) {
			return end, nil
		}
		frame := content[len(content)-r.Len():][:4*head.Values]
		if head.sum(frame) != head.Sum {
			return end, nil
		}
		values := make([]float32, head.Values)
		if err := binary.Read(r, binary.LittleEndian, values); err != nil {
			return end, err
		}
		b.rows, b.values = b.rows+int(head.Rows), append(b.values, values...)
	}
}

// add appends a batch of so many rows.
func (b *batchFile) add(values []float32, rows int) error {
	var payload bytes.Buffer
	if err := binary.Write(&payload, binary.LittleEndian, values); err != nil {
		return err
	}
	var frame bytes.Buffer
	head := frameHead{Rows: uint32(rows), Values: uint32(len(values))}
	head.Sum = head.sum(payload.Bytes())
	if err := binary.Write(&frame, binary.LittleEndian, head); err != nil {
		return err
	}
	if _, err := b.file.Write(append(frame.Bytes(), payload.Bytes()...)); err != nil {
		return err
	}
	b.rows, b.values = b.rows+rows, append(b.values, values...)
	return nil
}
