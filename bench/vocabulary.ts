/** The one action that the benchmarks record. */
export const benchVocabulary = {
  version: 1,
  actions: [
    {
      action: 'customer.read',
      category: 'data_access',
      description: 'A customer record was read.',
      sensitivity: 'medium',
      fail_policy: 'fail_closed',
      retention_class: 'standard',
      ocsf: { class_uid: 3004, activity_id: 2 },
      ecs: { category: ['database'], type: ['access'] },
    },
  ],
} as const;
