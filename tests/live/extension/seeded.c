/*
 * seeded: a C extension with the faults that lowtide is to find (tests/live/test_native.py). Plain C API, any
 * CPython from 3.9 on.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdlib.h>

/* ---- Types that hold a reference which the collector cannot see ---- */

/* Not the collector's at all: no Py_TPFLAGS_HAVE_GC. */
struct box {
	PyObject_HEAD long colour;
	PyObject *item;
};

static int box_init(PyObject *self, PyObject *args, PyObject *keywords)
{
	struct box *box = (struct box *)self;
	PyObject *item = Py_None;
	(void)keywords;
	if (!PyArg_ParseTuple(args, "|O", &item))
		return -1;
	Py_INCREF(item);
	Py_XSETREF(box->item, item);
	return 0;
}

static void box_dealloc(PyObject *self)
{
	Py_XDECREF(((struct box *)self)->item);
	Py_TYPE(self)->tp_free(self);
}

static PyTypeObject box_type = {
	PyVarObject_HEAD_INIT(NULL, 0).tp_name = "seeded.Box",
	.tp_basicsize = sizeof(struct box),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
	.tp_init = box_init,
	.tp_dealloc = box_dealloc,
	.tp_new = PyType_GenericNew,
};

/* The collector's, with a tp_traverse that forgets `item`. Crate is the same done right. */
struct holder {
	PyObject_HEAD long colour;
	PyObject *visited;
	double weight;
	PyObject *item;
};

static int holder_init(PyObject *self, PyObject *args, PyObject *keywords)
{
	struct holder *holder = (struct holder *)self;
	PyObject *item = Py_None;
	(void)keywords;
	if (!PyArg_ParseTuple(args, "|O", &item))
		return -1;
	Py_INCREF(item);
	Py_XSETREF(holder->item, item);
	return 0;
}

static int holder_traverse(PyObject *self, visitproc visit, void *arg)
{
	Py_VISIT(Py_TYPE(self));
	Py_VISIT(((struct holder *)self)->visited);
	return 0;
}

static int crate_traverse(PyObject *self, visitproc visit, void *arg)
{
	Py_VISIT(Py_TYPE(self));
	Py_VISIT(((struct holder *)self)->visited);
	Py_VISIT(((struct holder *)self)->item);
	return 0;
}

static int holder_clear(PyObject *self)
{
	Py_CLEAR(((struct holder *)self)->visited);
	Py_CLEAR(((struct holder *)self)->item);
	return 0;
}

static void holder_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);
	PyObject_GC_UnTrack(self);
	(void)holder_clear(self);
	type->tp_free(self);
	Py_DECREF(type);
}

static PyType_Slot holder_slots[] = {
	{Py_tp_init, holder_init},         {Py_tp_new, PyType_GenericNew},
	{Py_tp_traverse, holder_traverse}, {Py_tp_clear, holder_clear},
	{Py_tp_dealloc, holder_dealloc},   {0, NULL},
};

static PyType_Slot crate_slots[] = {
	{Py_tp_init, holder_init},        {Py_tp_new, PyType_GenericNew},
	{Py_tp_traverse, crate_traverse}, {Py_tp_clear, holder_clear},
	{Py_tp_dealloc, holder_dealloc},  {0, NULL},
};

static PyType_Spec holder_spec = {"seeded.Holder", sizeof(struct holder), 0,
				  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, holder_slots};
static PyType_Spec crate_spec = {"seeded.Crate", sizeof(struct holder), 0,
				 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, crate_slots};

/* ---- References that no object holds ---- */

/* Forgets a reference: Py_INCREF and no pointer. */
static PyObject *seeded_lose(PyObject *module, PyObject *object)
{
	(void)module;
	Py_INCREF(object);
	Py_RETURN_NONE;
}

/* Keeps a reference in C static data. */
PyObject *seeded_registry[8];
static int seeded_registry_used;

static PyObject *seeded_register(PyObject *module, PyObject *object)
{
	(void)module;
	if (seeded_registry_used >= 8) {
		PyErr_SetString(PyExc_OverflowError, "the registry is full");
		return NULL;
	}
	Py_INCREF(object);
	seeded_registry[seeded_registry_used++] = object;
	Py_RETURN_NONE;
}

/* Keeps a reference in malloc'ed memory, in a list as a C++ library keeps its listeners. */
struct listener {
	struct listener *next;
	PyObject *callback;
};
static struct listener *listeners;

static PyObject *seeded_listen(PyObject *module, PyObject *object)
{
	(void)module;
	struct listener *listener = malloc(sizeof(*listener));
	if (listener == NULL)
		return PyErr_NoMemory();
	Py_INCREF(object);
	listener->callback = object;
	listener->next = listeners;
	listeners = listener;
	Py_RETURN_NONE;
}

/* Calls a function with a reference to the object on the C stack only, its argument given up. */
static PyObject *seeded_on_stack(PyObject *module, PyObject *args)
{
	PyObject *make, *call;
	(void)module;
	if (!PyArg_ParseTuple(args, "OO", &make, &call))
		return NULL;
	PyObject *volatile object = PyObject_CallObject(make, NULL);
	if (object == NULL)
		return NULL;
	PyObject *result = PyObject_CallObject(call, NULL);
	Py_DECREF(object);
	return result;
}

static PyMethodDef seeded_methods[] = {
	{"lose", seeded_lose, METH_O, "raises the reference count and forgets the pointer"},
	{"register", seeded_register, METH_O, "keeps a reference in static data"},
	{"listen", seeded_listen, METH_O, "keeps a reference in memory of its own"},
	{"on_stack", seeded_on_stack, METH_VARARGS, "holds make() on the C stack during call()"},
	{NULL, NULL, 0, NULL},
};

static struct PyModuleDef seeded_module = {
	PyModuleDef_HEAD_INIT, "seeded", NULL, -1, seeded_methods, NULL, NULL, NULL, NULL,
};

static int add_type(PyObject *module, const char *name, PyObject *type)
{
	if (type == NULL)
		return -1;
	int result = PyObject_SetAttrString(module, name, type);
	Py_DECREF(type);
	return result;
}

PyMODINIT_FUNC PyInit_seeded(void)
{
	PyObject *module = PyModule_Create(&seeded_module);
	if (module == NULL || PyType_Ready(&box_type) < 0 ||
	    PyObject_SetAttrString(module, "Box", (PyObject *)&box_type) < 0 ||
	    add_type(module, "Holder", PyType_FromSpec(&holder_spec)) < 0 ||
	    add_type(module, "Crate", PyType_FromSpec(&crate_spec)) < 0) {
		Py_XDECREF(module);
		return NULL;
	}
	return module;
}
