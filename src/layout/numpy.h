/*
 * numpy.h: where the members of NumPy's arrays are.
 *
 * Source: numpy/_core/include/numpy/ndarraytypes.h: PyArrayObject_fields, PyArray_Descr; part of NumPy's
 * binary interface and the same from 1.7 to 2.x on 64-bit systems.
 */
#ifndef LT_LAYOUT_NUMPY_H
#define LT_LAYOUT_NUMPY_H

enum {
	LT_NUMPY_DATA = 16,
	LT_NUMPY_DIMENSION_COUNT = 24, /* int */
	LT_NUMPY_DIMENSIONS = 32,
	LT_NUMPY_STRIDES = 40,
	LT_NUMPY_BASE = 48,
	LT_NUMPY_DTYPE = 56,
	LT_NUMPY_FLAGS = 64, /* int */
	LT_NUMPY_BODY = 72,  /* bytes of the members above with the head of an object */
	LT_NUMPY_FLAG_OWN_DATA = 4,
	LT_NUMPY_DTYPE_LETTER = 25, /* PyArray_Descr.type */
};

#endif
