package ralph

import (
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

const (
	metaBucket   = "meta"
	agentsBucket = "agents"
	eventsBucket = "events"
)

// counted is a bucket whose number of records stands in the meta bucket, so that
// records that vanish are missed.
type counted struct {
	tx   *bbolt.Tx
	name string
}

func (c counted) put(key []byte, v any) error {
	value, err := seal(key, v)
	if err != nil {
		return err
	}
	b := c.tx.Bucket([]byte(c.name))
	if b.Get(key) == nil {
		if err := c.count(1); err != nil {
			return err
		}
	}
	return b.Put(key, value)
}

func (c counted) remove(key []byte) error {
	b := c.tx.Bucket([]byte(c.name))
	if b.Get(key) == nil {
		return nil
	}
	return errors.Join(c.count(-1), b.Delete(key))
}

func (c counted) count(by int) error {
	meta := c.tx.Bucket([]byte(metaBucket))
	n, err := c.size()
	if err != nil {
		return err
	}
	return meta.Put([]byte(c.name), binary.BigEndian.AppendUint64(nil, uint64(n+by)))
}

func (c counted) size() (int, error) {
	value := c.tx.Bucket([]byte(metaBucket)).Get([]byte(c.name))
	if len(value) != 8 {
		return 0, fmt.Errorf("the number of %s is missing", c.name)
	}
	return int(binary.BigEndian.Uint64(value)), nil
}

// read reads all records of a bucket.
func read[T any](tx *bbolt.Tx, bucket string) (map[string]*T, error) {
	b := tx.Bucket([]byte(bucket))
	if b == nil {
		return nil, fmt.Errorf("there are no %s", bucket)
	}
	want, err := counted{tx, bucket}.size()
	if err != nil {
		return nil, err
	}
	all := make(map[string]*T)
	c := b.Cursor()
	for key, value := c.First(); key != nil; key, value = c.Next() {
		if len(all) == want {
			return nil, fmt.Errorf("there are more than %d %s", want, bucket)
		}
		one := new(T)
		if err := unseal(key, value, one); err != nil {
			return nil, err
		}
		all[string(key)] = one
	}
	if len(all) != want {
		return nil, fmt.Errorf("there are %d %s of %d", len(all), bucket, want)
	}
	return all, nil
}
